const f = (a: number)
  : number => a;
const g = async <T>
(x: T) => x;
let a = 1
type B = 2
;[1].map(String);
var c = a as
 unknown as string;
for (const d of <any>[]) {}
