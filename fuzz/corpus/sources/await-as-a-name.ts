dxxpor









;
















































abstract
await 
:
 cl
