dxxpooverride 
export as namespace
satisfies 
