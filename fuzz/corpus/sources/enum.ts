enum E { A }
namespace N { export const x = 1 }
