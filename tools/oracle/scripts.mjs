// The scripts of the differential test. Bodies are written as smallcaps text.
const call = (target, method, args = '[]', slots = [], result = undefined) =>
  ({ message: { target, body: `#[${JSON.stringify(method)},${args}]`, slots, ...(result === undefined ? {} : { result }) } });
let n = 0; // of the script that is being written
const ask = (target, method, args, slots) => { n += 1; return call(target, method, args, slots, `p-${100 + n}`); };
const root = (method, args, slots) => ask('o+0', method, args, slots);
const fulfil = (vpid, body, slots = []) => ({ notify: [[vpid, false, body, slots]] });
const reject = (vpid, text) => ({ notify: [[vpid, true, `#{"#error":${JSON.stringify(text)},"name":"Error"}`, []]] });
const boyd = { bringOutYourDead: true };
const restart = { restart: true };
const X = '"$0.Alleged: X"';
const P = '"&0"';

const durable = steps => { n = 0; return { vat: 'durable.js', steps }; };
const basic = steps => { n = 0; return { vat: 'basic.js', steps }; };

export const scripts = {
  calls: basic([
    root('hello', '["world"]'), root('parameters'), root('echo', '[1,"x","!!y","+12","#undefined",null,true,["a"],{"k":"#NaN"}]'),
    root('nothing'), root('one', '["#Infinity"]'), root('makeThing', '["foo"]'), call('o+#1', 'name', '[]', [], 'p-1'),
    call('o+#1', 'ping', '[]', [], 'p-2'), root('asyncValue', '["later"]'), root('notFrozen'), call('o+0', 'hello', '["nobody"]'),
    root('sameThing'), root('sameThing'), root('one', '["%foo"]'), root('one', '["%@@asyncIterator"]'),
    root('one', '[{"#tag":"t","payload":[1]}]'), root('one', `[{"#error":"m","name":"TypeError"}]`),
  ]),
  errors: basic([
    root('nosuch'), root('fail', '["bad"]'), root('failAsync'), root('failString'), root('failObject', `[${X}]`, ['o-1']),
    root('unserializable'), root('unserializableFunction'), root('missingLocal'), root('missingOnUndefined'),
    call('o+0', 'fail'), root('localOrder'),
  ]),
  badTarget: basic([{ message: { target: 'o+77', body: '#["x",[]]', slots: [], result: 'p-1' } }]),
  functions: basic([
    root('farFunction'), { message: { target: 'o+#1', body: '#["#undefined",[1,2]]', slots: [], result: 'p-1' } },
    root('callFunction', `[${X},5]`, ['o-1']), { message: { target: 'o+#1', body: '#["nosuch",[]]', slots: [], result: 'p-2' } },
  ]),
  symbolMethod: basic([root('call', `[${X},"%@@asyncIterator"]`, ['o-1'])]),
  ping: basic([
    root('ping', `[${X}]`, ['o-50']), fulfil('p+#1', '#"answer"'), root('ping', `[${X}]`, ['o-50']), reject('p+#2', 'no'),
    call('o+0', 'pingOnly', `[${X}]`, ['o-50']), fulfil('p+#3', '#5'),
  ]),
  pipeline: basic([
    root('pipeline', `[${X}]`, ['o-50']), fulfil('p+#1', `#${X}`, ['o-51']), fulfil('p+#2', `#${X}`, ['o-52']), fulfil('p+#3', '#"end"'),
  ]),
  pipelineRejected: basic([
    root('pipeline', `[${X}]`, ['o-50']),
    { notify: [['p+#1', true, '#{"#error":"no a","name":"Error"}', []], ['p+#2', true, '#{"#error":"no a","name":"Error"}', []], ['p+#3', true, '#{"#error":"no a","name":"Error"}', []]] },
  ]),
  pipelineLocal: basic([root('sameThing'), root('call', '["$0.Alleged: thing","hi"]', ['o+#1']), root('callFunction', '["$0.Alleged: thing"]', ['o+#1'])]),
  two: basic([root('two', `[${X}]`, ['o-50']), fulfil('p+#2', '#"b"'), fulfil('p+#1', '#"a"')]),
  waitTwo: basic([root('waitTwo', `[${X}]`, ['o-50']), fulfil('p+#2', '#"b"'), fulfil('p+#1', '#"a"')]),
  order: basic([root('order', `[${X}]`, ['o-50'])]),
  syncThenSend: basic([root('syncThenSend', `[${X}]`, ['o-50'])]),
  sendAfterTurn: basic([root('sendAfterTurn', `[${X}]`, ['o-50'])]),
  promiseArgs: basic([
    root('watch', `[${P},"one"]`, ['p-1']), fulfil('p-1', '#"value"'), root('log'),
    root('watch', `[${P},"two"]`, ['p-2']), reject('p-2', 'bad news'), root('log'),
    root('watch', `[${P},"three"]`, ['p-3']), fulfil('p-3', `#${X}`, ['o-3']), root('log'),
    root('watch', `[${P},"four"]`, ['p-1']), fulfil('p-1', '#"again"'), root('log'),
  ]),
  promiseCalls: basic([
    root('call', `[${P},"foo",1]`, ['p-1']), root('call', `[${P},"bar"]`, ['p-1']), fulfil('p-1', `#${X}`, ['o-7']),
    fulfil('p+#1', '#"r1"'), root('call', `[${P},"baz"]`, ['p-2']), reject('p-2', 'gone'), root('hold', `[${P}]`, ['p-3']),
    fulfil('p-3', `#${X}`, ['o-8']), root('callHeld', '["direct"]'),
  ]),
  promiseResults: basic([
    root('promise', '["a"]'), root('resolve', '["a",42]'), root('promise', '["a"]'), root('promise', '["b"]'), root('reject', '["b","bad"]'),
    root('promise', '["b"]'), root('promiseInArray', '["c"]'), root('resolve', '["c","cv"]'), root('promiseInArray', '["c"]'),
    root('promiseTwice', '["d"]'), root('resolve', `["d",${X}]`, ['o-1']),
  ]),
  promiseChains: basic([
    root('promiseInArray', '["a"]'), root('resolveWith', '["a","b"]'), root('resolve', '["b","final"]'),
    root('promiseInArray', '["x"]'), root('promiseInArray', '["y"]'), root('resolveCross', '["x","y"]'),
    root('promiseInArray', '["l"]'), root('resolve', '["l",["&0"]]', ['p-9']), fulfil('p-9', '#"nine"'),
  ]),
  sendPromises: basic([
    root('sendPromise', `[${X},"a"]`, ['o-1']), root('sendPromise', `[${X},"a"]`, ['o-1']), root('resolve', '["a","A"]'),
    root('sendPromise', `[${X},"a"]`, ['o-1']), root('sendResolved', `[${X}]`, ['o-1']), root('sendRejected', `[${X}]`, ['o-1']),
    root('resolveAndSend', `[${X},"b",7]`, ['o-1']), root('sendAgain', `[${X},"c"]`, ['o-1']), root('resolve', '["c","C"]'),
    root('sendAgain', `[${X},"c"]`, ['o-1']),
  ]),
  bounced: basic([
    root('ping', `[${X}]`, ['o-1']), root('hold', `[${P}]`, ['p+#1']), root('sendHeld', `[${X}]`, ['o-2']), fulfil('p+#1', '#"done"'),
    root('sendHeld', `[${X}]`, ['o-2']), root('promiseInArray', '["a"]'), root('one', `[${P}]`, ['p+#5']), root('resolve', '["a",1]'),
  ]),
  ownResultComesBack: basic([
    call('o+0', 'promise', '["a"]', [], 'p-1'), root('watch', `[${P},"own"]`, ['p-1']), root('promiseInArray', '["a"]'), root('hold', `[[${P}]]`, ['p-1']),
    root('sendHeld', `[${X}]`, ['o-1']), root('resolve', '["a","A"]'), root('log'), root('sendHeld', `[${X}]`, ['o-1']),
  ]),
  becameDecider: basic([
    root('ping', `[${X}]`, ['o-1']), { message: { target: 'o+0', body: '#["hello",["me"]]', slots: [], result: 'p+#1' } }, fulfil('p+#1', '#"stale"'),
    root('call', `[${X},"foo"]`, ['o-1']), { message: { target: 'o+0', body: '#["promise",["z"]]', slots: [], result: 'p+#2' } }, root('resolve', '["z","zed"]'),
  ]),
  resolveImportedIntoResult: basic([root('one', `[${P}]`, ['p-1']), fulfil('p-1', '#"v"'), root('one', `[[${P}]]`, ['p-2']), fulfil('p-2', '#"w"')]),
  notifyBatch: basic([
    root('watch', `[${P},"a"]`, ['p-1']), root('watch', `[${P},"b"]`, ['p-2']),
    { notify: [['p-1', false, '#["&0"]', ['p-2']], ['p-2', false, '#["&0","&1"]', ['p-1', 'p-3']]] }, root('log'),
  ]),
  gets: basic([root('get', `[${X},"foo"]`, ['o-1']), root('get', `[${P},"length"]`, ['p-1']), fulfil('p-1', '#["a","b"]'), root('get', '[{"a":5},"a"]')]),
  gcImports: basic([
    root('hold', `[${X}]`, ['o-5']), boyd, root('heldStyle'), root('dropHeld'), boyd, root('hold', `[${X}]`, ['o-6']), root('dropHeld'),
    root('hold', `[${X}]`, ['o-6']), boyd, root('dropHeld'), boyd, boyd,
  ]),
  gcPromises: basic([root('hold', `[[${P}]]`, ['p-5']), root('dropHeld'), boyd, fulfil('p-5', `#${X}`, ['o-9']), boyd]),
  gcExports: basic([
    root('makeThing', '["a"]'), boyd, { dropExports: ['o+#1'] }, boyd, { retireExports: ['o+#1'] },
    root('sameThing'), { dropExports: ['o+#2'] }, boyd, root('sameThing'), boyd, { dropExports: ['o+#2'] }, { retireExports: ['o+#2'] },
    root('forgetThing'), boyd, root('makeThing', '["b"]'), { dropExports: ['o+#3'] }, { retireExports: ['o+#3'] }, boyd,
  ]),
  gcRetireImports: basic([root('hold', `[${X}]`, ['o-5']), root('dropHeld'), boyd, { retireImports: ['o-5'] }, boyd]),
  sendOnly: basic([call('o+0', 'sendOnly', `[${X},1]`, ['o-1']), root('sendOnly', `[${X},2]`, ['o-1'])]),
  exits: basic([root('exit', `[["bye",${X}]]`, ['o-1'])]),
  exitFailure: basic([root('exitFailure', '[{"#error":"bad","name":"Error"}]')]),
  unserializable: basic([
    root('rejectUnserializable'), root('sendUnserializable', `[${X}]`, ['o-1']), root('promiseInArray', '["u"]'), root('resolveUnserializable', '["u"]'),
    root('thenable'), root('deep', '[80]'), root('causedError'),
  ]),
  extendedError: basic([root('extendedError')]),
  manyPromises: basic([
    root('sendMany', `[${X},"a","b","a"]`, ['o-1']), root('resolve', '["b","B"]'), root('sendMany', `[${X},"b","a"]`, ['o-1']),
    root('nested', `[${X},"a"]`, ['o-1']), root('nested', `[${X},"b"]`, ['o-1']), root('resolve', '["a",["$0.Alleged: Y"]]', ['o-2']),
    root('spread', `[${X}]`, ['o-1']), fulfil('p+#9', '#["x","y"]'),
  ]),
  pipelineToOwnPromise: basic([
    root('promise', '["a"]'), { message: { target: 'o+0', body: '#["sendMany",["$0.Alleged: X","a"]]', slots: ['o-1'] } },
    root('call', '["&0","foo"]', ['p+#1']), root('resolve', '["a","$0.Alleged: X"]', ['o-9']),
  ]),
  crossKernelPromises: basic([
    root('ping', `[${P}]`, ['p-1']), root('sendPromise', `[${P},"a"]`, ['p-1']), root('resolve', '["a",["&0"]]', ['p-2']),
    { notify: [['p-1', false, '#"$0.Alleged: Q"', ['o-3']]] }, { notify: [['p-2', false, '#["&0"]', ['p-4']]] }, { notify: [['p-4', true, '#"no"', []]] },
  ]),
  resolveToImportedPromise: basic([
    root('promise', '["a"]'), root('resolve', `["a",${P}]`, ['p-7']), root('promise', '["a"]'), { notify: [['p-7', false, '#"seven"', []]] },
  ]),
  malformedWork: basic([root('ping', '[5]'), root('ping', '["text"]'), root('ping', '[{"a":1}]')]),
  restartCounters: basic([root('makeThing', '["a"]'), root('ping', `[${X}]`, ['o-1']), restart, root('makeThing', '["b"]'), root('ping', `[${X}]`, ['o-1']), root('hello', '["x"]')]),

  baggageCounter: durable([root('count'), root('count'), restart, root('count'), root('baggageErrors'), root('baggageHas', '["nope"]'), root('baggageKeys')]),
  durableKind: durable([
    root('makeCounter', '["a",5]'), call('o+#1', 'inc', '[]', [], 'p-1'), call('o+#1', 'inc', '[10]', [], 'p-2'), restart,
    call('o+#1', 'read', '[]', [], 'p-3'), call('o+#1', 'name', '[]', [], 'p-4'), call('o+#1', 'setExtra', '[{"x":[1,"+5"]}]', [], 'p-5'),
    call('o+#1', 'getExtra', '[]', [], 'p-6'), call('o+#1', 'setExtra', `[${X}]`, ['o-5'], 'p-7'), boyd, call('o+#1', 'getExtra', '[]', [], 'p-8'),
    restart, boyd, call('o+#1', 'getExtra', '[]', [], 'p-9'), call('o+#1', 'setExtra', '[0]', [], 'p-10'), boyd,
    { dropExports: ['o+#1'] }, boyd,
  ]),
  durableKindRetire: durable([
    root('makeCounter', '["a",5]'), { dropExports: ['o+#1'] }, { retireExports: ['o+#1'] }, boyd,
    root('saveCounter', '["s",1]'), { dropExports: ['o+#2'] }, boyd, root('getSaved', '["s"]'), { dropExports: ['o+#2'] }, root('deleteSaved', '["s"]'), boyd,
    root('saveCounter', '["t",2]'), { dropExports: ['o+#3'] }, { retireExports: ['o+#3'] }, restart, root('getSaved', '["t"]'), root('identity', '["t"]'),
  ]),
  durableKit: durable([
    root('savePurse', '[100]'), root('depositFacet', '[5]'), call('o+#1', 'amount', '[]', [], 'p-1'), restart, call('o+#2', 'put', '[7]', [], 'p-2'),
    call('o+#1', 'amount', '[]', [], 'p-3'), call('o+#1', 'depositFacet', '[]', [], 'p-4'), { dropExports: ['o+#2'] }, boyd,
    call('o+#1', 'amount', '[]', [], 'p-5'), { dropExports: ['o+#1'] }, boyd, root('mapDelete', '["purse"]'), boyd,
    root('makePurse', '[1]'), { dropExports: ['o+#3'] }, boyd,
  ]),
  durableStateErrors: durable([root('stateErrors'), root('mapErrors')]),
  mapStore: durable([
    root('mapInit', '["b",1]'), root('mapInit', '["a",[1,2]]'), root('mapInit', '["c",{"x":"y"}]'), root('mapInit', '[5,"five"]'), root('mapInit', '[-2,"minus two"]'),
    root('mapInit', '["+7","big"]'), root('mapInit', '["+70","bigger"]'), root('mapInit', '["-7","big minus"]'), root('mapInit', '[true,1]'), root('mapInit', '[null,1]'),
    root('mapInit', '["#undefined",1]'), root('mapInit', `[${X},"import"]`, ['o-5']), root('mapInit', '["%sym","symbol"]'), root('mapInit', '["#NaN","nan"]'),
    root('mapInit', '[10.5,"float"]'), root('mapKeys'), root('mapSize'), root('mapInit', '["b",1]'), root('mapSet', '["b",2]'), root('mapGet', '["b"]'), root('mapEntries'),
    root('mapKeysMatching'), restart, root('mapKeys'), root('mapGet', '[{"#error":"x","name":"Error"}]'), root('mapDelete', '["b"]'), root('mapHas', '["b"]'), boyd, root('mapClear'), root('mapSize'), boyd,
  ]),
  setStore: durable([root('setAdd', '["x"]'), root('setAdd', '["x"]'), root('setAdd', `[${X}]`, ['o-9']), root('setKeys'), restart, root('setHas', `[${X}]`, ['o-9']), root('setDelete', `[${X}]`, ['o-9']), boyd, root('setKeys')]),
  durableImports: durable([
    root('mapInit', `["k",${X}]`, ['o-5']), boyd, root('mapGet', '["k"]'), restart, boyd, root('mapGet', '["k"]'), root('mapDelete', '["k"]'), boyd,
  ]),
  weakStores: durable([
    root('weakInit', `[${X},"v"]`, ['o-5']), boyd, root('weakHas', `[${X}]`, ['o-5']), boyd, { retireImports: ['o-5'] },
    root('weakInit', `[${X},["$1.Alleged: V"]]`, ['o-6', 'o-7']), boyd, root('weakGet', `[${X}]`, ['o-6']), root('weakDelete', `[${X}]`, ['o-6']), boyd,
    root('weakInit', `[${X},["$1.Alleged: V"]]`, ['o-8', 'o-9']), boyd, { retireImports: ['o-8'] }, boyd,
    root('weakAdd', `[${X}]`, ['o-10']), boyd, root('weakSetHas', `[${X}]`, ['o-10']),
  ]),
  ramWeak: durable([root('ramWeakSet', `[${X},"v"]`, ['o-5']), boyd, root('ramWeakGet', `[${X}]`, ['o-5']), boyd, { retireImports: ['o-5'] }, root('keepVirtual', '[1]')]),
  virtualObjects: durable([
    root('makeVirtual', '[7]'), call('o+#1', 'read', '[]', [], 'p-1'), boyd, call('o+#1', 'read', '[]', [], 'p-2'), { dropExports: ['o+#1'] }, boyd,
    root('keepVirtual', '[8]'), root('linkVirtual', `[${X}]`, ['o-5']), boyd, root('getLink'), root('keptVirtual'), root('dropVirtual'), boyd,
    root('virtualChain', '[5]'), root('dropVirtual'), boyd, root('makeVirtual', '[9]'), { dropExports: ['o+#2'] }, { retireExports: ['o+#2'] }, boyd,
  ]),
  watchedImport: durable([
    root('watch', `[${P},"w1"]`, ['p-1']), fulfil('p-1', '#"good"'), root('baggageGet', '["w1"]'),
    root('watch', `[${P},"w2"]`, ['p-2']), restart, { notify: [['p-2', false, '#["after"]', []]] }, root('baggageGet', '["w2"]'),
    root('watch', `[${P},"w3"]`, ['p-3']), restart, reject('p-3', 'bad'), root('baggageGet', '["w3"]'),
  ]),
  watchedCall: durable([root('watchCall', `[${X},"c1"]`, ['o-5']), restart, fulfil('p+#1', '#"late"'), root('baggageGet', '["c1"]')]),
  watchedLocal: durable([root('watchLocal', '["l1"]'), restart, root('baggageGet', '["l1"]')]),
};
