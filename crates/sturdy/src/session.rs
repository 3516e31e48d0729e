//! One session of calls: names for references, calls and their results.
//!
//! What always holds: a call is acknowledged once its result is printed, unless the result holds references, which
//! stay alive (and keep their `$n`) until the session ends, or the call has a request id of its own.

use crate::colon;
use crate::converse::Typed;
use crate::out::{self, End};
use crate::show;
use crate::waiting::{Asked, LeftCalls, Settling, Waiting};
use std::borrow::Cow;
use std::collections::BTreeMap;
use sturdy_daemon::{Handle, Lasting, RefOwner, RequestError, Settled, Status, SubclusterInfo};
use sturdy_smallcaps::display::plain_json;
use sturdy_smallcaps::expr::{Call, Line, Named, RefKind, parse_line};
use sturdy_smallcaps::{Value, decode};
use sturdy_types::{KRef, SubclusterId, json_string, redact_urls};

/// Longer than the number of a URL, shorter than its secret: what is longer is shown to nobody.
pub const LONGEST_SHOWN: usize = 24;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Values,
    /// One JSON object per answer.
    Json,
}

/// Whether a line did what it asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It did.
    Well,
    /// It failed, and that has been told.
    Badly,
}

impl Done {
    /// Whether both did.
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Well, Self::Well) => Self::Well,
            _ => Self::Badly,
        }
    }
}

/// How far a line has come.
pub enum Begun {
    /// To its end.
    Over(Done),
    /// It is a call, which can be waited for or left.
    Waits(Waiting),
}

/// A name for a call that outlives the process.
#[derive(Debug, Clone)]
pub struct RequestName {
    /// The name.
    pub id: String,
    /// Whether the answer is to be forgotten once it is printed.
    pub forget: bool,
}

/// References that were given names.
#[derive(Default)]
pub struct Names {
    known: BTreeMap<String, Named<KRef>>,
    /// What `$1`, `$2`, … stand for.
    results: Vec<Named<KRef>>,
}

impl Names {
    /// The vats' roots, by the vats' names; that of the bootstrap vat also as `root`.
    pub fn of_vats(info: &SubclusterInfo, status: &Status) -> Self {
        let mut names = Self::default();
        for vat in status.vats.iter().filter(|vat| vat.subcluster == info.id) {
            if let Some(root) = vat.root {
                let of_root = || Named { reference: root.into(), kind: RefKind::Object, iface: None };
                names.known.insert(vat.name.clone(), of_root());
                if vat.name == info.config.bootstrap {
                    names.known.insert("root".into(), of_root());
                }
            }
        }
        names
    }

    /// All names that can be typed.
    pub fn all(&self) -> Vec<String> {
        self.known.keys().cloned().chain((1..=self.results.len()).map(|number| format!("${number}"))).collect()
    }

    /// Whether a reference may be given this name.
    pub fn may_be_given(&self, name: &str) -> Result<(), String> {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || !name.chars().all(part) {
            return Err(format!("`{}` is no name: letters, digits and `_`, not a digit first", show::tame(name)));
        }
        if self.known.contains_key(name) || name.parse::<KRef>().is_ok() {
            return Err(format!("`{name}` stands for something else already; choose another name"));
        }
        Ok(())
    }

    /// What a name stands for.
    pub fn resolve(&self, name: &str) -> Result<Named<KRef>, String> {
        if let Some(named) = self.known.get(name) {
            return Ok(named.clone());
        }
        if let Some(number) = name.strip_prefix('$') {
            let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            return index.and_then(|index| self.results.get(index)).cloned().ok_or_else(|| {
                let known = self.results.len();
                if known == 0 {
                    format!("{name} stands for nothing: no result of this session held a reference yet")
                } else {
                    format!("{name} stands for nothing: the results of this session are named $1 to ${known}")
                }
            });
        }
        match name.parse() {
            Ok(reference @ KRef::Object(_)) => Ok(Named { reference, kind: RefKind::Object, iface: None }),
            Ok(reference @ KRef::Promise(_)) => Ok(Named { reference, kind: RefKind::Promise, iface: None }),
            Err(_) => Err(match colon::meant(name) {
                Some(command) => format!("nothing is named `{name}`; the command is `{command}`"),
                None => format!("nothing is named `{}`; known are: {}", show::tame(name), self.all().join(", ")),
            }),
        }
    }

    /// The name of a result's reference, and whether it is new.
    fn name_result(&mut self, named: Named<KRef>) -> (String, bool) {
        let known = self.results.iter().position(|other| other.reference == named.reference);
        let index = known.unwrap_or_else(|| {
            self.results.push(named);
            self.results.len() - 1
        });
        (format!("${}", index + 1), known.is_none())
    }
}

/// A reference in a result.
struct Shown {
    name: String,
    is_new: bool,
    named: Named<KRef>,
    /// What is to be known about how long it lasts, if it is not for as long as anybody needs it.
    warning: Option<String>,
}

/// One session.
pub struct Session {
    /// The kernel.
    pub kernel: Handle,
    /// The cluster that it began with.
    pub subcluster: SubclusterId,
    /// Names.
    pub names: Names,
    /// How results are printed.
    pub form: Form,
    /// Calls that nobody stands and waits for.
    pub left: LeftCalls,
}

impl Session {
    /// Understands one line and does what it says, up to the point where it has to wait. An error means that nothing more
    /// can be done.
    pub async fn begin(&mut self, typed: Typed<'_>, request: Option<RequestName>) -> Result<Begun, End> {
        let text = typed.line;
        if typed.code.starts_with("ocap:") {
            self.failed(text, "what an OCAP URL stands for is got with `:url redeem URL as NAME`")?;
            return Ok(Begun::Over(Done::Badly));
        }
        match parse_line(typed.code, |name| self.names.resolve(name)) {
            Ok(Line::Inspect(named)) => self.inspect(text, &named).await.map(Begun::Over),
            Ok(Line::Call(call)) => match self.objection(&call, request.as_ref()).await? {
                None => Ok(Begun::Waits(self.call(text, &call, request))),
                Some(why) => {
                    self.failed(text, &why)?;
                    Ok(Begun::Over(Done::Badly))
                }
            },
            Err(error) => {
                self.failed(text, &error.to_string())?;
                Ok(Begun::Over(Done::Badly))
            }
        }
    }

    /// Why a call is not what its name stands for already. Of that call the target is known, and not what it was told, so
    /// whoever repeats a name hears that nothing new is done.
    async fn objection(&self, call: &Call<KRef>, request: Option<&RequestName>) -> Result<Option<String>, End> {
        let Some(RequestName { id, .. }) = request else { return Ok(None) };
        let Some(known) = self.kernel.named_call(id.clone()).await.map_err(End::of)? else { return Ok(None) };
        let (id, target) = (show::tame(id), call.target.reference);
        if known != target {
            return Ok(Some(format!(
                "the request id `{id}` stands for a call of {known}, and this is one of {target}; give it another id"
            )));
        }
        out::note(&format!(
            "the request id `{id}` stands for a call that was made before: that one is answered, and none is made; another \
             call needs another id"
        ));
        Ok(None)
    }

    fn call(&self, text: &str, call: &Call<KRef>, request: Option<RequestName>) -> Waiting {
        let (kernel, target, methargs) = (self.kernel.clone(), call.target.reference, call.methargs());
        let id = request.as_ref().map(|request| request.id.clone());
        let asked = Asked { line: text.to_owned(), request, name: None, left: None };
        Waiting::new(asked, async move { kernel.call(target, methargs, id).await })
    }

    /// Does not stand and wait for a call any longer, and tells under which name its result will be told. If too many are
    /// left already, the call is given back.
    pub async fn leave(&mut self, waiting: Waiting) -> Result<Option<Waiting>, End> {
        let call = json_string(&echo(&waiting.asked.line));
        let name = match self.left.leave(waiting).await {
            Ok(name) => name,
            Err(waiting) => return Ok(Some(waiting)),
        };
        match self.form {
            Form::Values => out::note(&format!("{name} goes on; its result is told when it comes")),
            Form::Json => out::result(&format!("{{\"call\":{call},\"ok\":true,\"begun\":\"{name}\"}}"))?,
        }
        Ok(None)
    }

    /// Prints what a call came to, and acknowledges it if nothing in it has to be kept.
    pub async fn conclude(&mut self, asked: &Asked, settling: Settling) -> Result<Done, End> {
        let settled = match settling {
            Ok(settled) => settled,
            Err(stopped @ RequestError::Stopped(_)) => return Err(End::of(stopped)),
            Err(refused) => {
                self.failed_call(asked, &refused.to_string(), None)?;
                return Ok(Done::Badly);
            }
        };
        self.give_name(asked, &settled);
        let shown = self.shown(&settled).await?;
        let done = self.print(asked, &settled, &shown)?;
        let finished = match &asked.request {
            None => shown.is_empty(),
            Some(request) => request.forget,
        };
        if finished {
            self.kernel.acknowledge(settled.call).await.map_err(End::of)?;
        }
        Ok(done)
    }

    /// Gives the reference in a result the name that it is to have.
    fn give_name(&mut self, asked: &Asked, settled: &Settled) {
        let Some(name) = &asked.name else { return };
        let mut found = Vec::new();
        if let Ok(value) = decode(&settled.value) {
            references(&value, &settled.value.slots, &mut found);
        }
        let Some(named) = found.into_iter().next() else { return };
        // Meanwhile another may have taken the name.
        match self.names.may_be_given(name) {
            Ok(()) => drop(self.names.known.insert(name.clone(), named)),
            Err(why) => out::note(&format!("warning: {why}")),
        }
    }

    fn print(&self, asked: &Asked, settled: &Settled, shown: &[Shown]) -> Result<Done, End> {
        if settled.rejected {
            self.failed_call(asked, &show::reason(&settled.value), Some(settled))?;
        } else if self.form == Form::Json {
            let (call, value) = (json_string(&echo(&asked.line)), json_value(settled));
            let (refs, ended) = (json_refs(shown), json_ended(asked));
            out::result(&format!("{{\"call\":{call},\"ok\":true,\"value\":{value}{refs}{ended}}}"))?;
        } else {
            out::result(&format!("{}{}", which(asked), show::value(&settled.value)))?;
        }
        if self.form == Form::Values {
            for one in shown.iter().filter(|one| one.is_new) {
                let iface = one.named.iface.as_deref().map_or_else(String::new, |iface| format!(" ({iface})"));
                let warning = one.warning.as_deref().map_or_else(String::new, |warning| format!("; {warning}"));
                out::note(&format!("{} is <{}>{}{warning}", one.name, one.named.reference, show::tame(&iface)));
            }
        }
        Ok(if settled.rejected { Done::Badly } else { Done::Well })
    }

    /// Tells that a line failed.
    pub fn failed(&self, text: &str, why: &str) -> Result<(), End> {
        let why = &show::brief(why);
        match self.form {
            Form::Values => {
                out::note(&format!("Error: {why}"));
                Ok(())
            }
            Form::Json => print_failure(text, why, ""),
        }
    }

    fn failed_call(&self, asked: &Asked, why: &str, settled: Option<&Settled>) -> Result<(), End> {
        match self.form {
            Form::Values => {
                out::note(&format!("{}Error: {why}", which(asked)));
                Ok(())
            }
            Form::Json => {
                let error = settled.map_or_else(String::new, |settled| format!(",\"error\":{}", json_value(settled)));
                print_failure(&asked.line, why, &format!("{error}{}", json_ended(asked)))
            }
        }
    }

    /// Names the references in a result.
    async fn shown(&mut self, settled: &Settled) -> Result<Vec<Shown>, End> {
        let mut found = Vec::new();
        if let Ok(value) = decode(&settled.value) {
            references(&value, &settled.value.slots, &mut found);
        }
        let mut shown: Vec<Shown> = Vec::new();
        for named in found {
            if shown.iter().any(|other| other.named.reference == named.reference) {
                continue;
            }
            let warning = self.warning(named.reference).await?;
            let (name, is_new) = self.names.name_result(named.clone());
            shown.push(Shown { name, is_new, named, warning });
        }
        Ok(shown)
    }

    async fn warning(&self, reference: KRef) -> Result<Option<String>, End> {
        let info = self.kernel.inspect(reference).await.map_err(End::of)?;
        Ok(info.filter(|info| info.lasting == Lasting::Ephemeral).map(|info| match info.owner {
            RefOwner::Vat(vat) => format!("it is ephemeral: it ends when {vat} or this process is restarted"),
            _ => "what it stood for is gone".to_owned(),
        }))
    }

    async fn inspect(&mut self, text: &str, named: &Named<KRef>) -> Result<Done, End> {
        let info = self.kernel.inspect(named.reference).await.map_err(End::of)?;
        let reference = named.reference;
        let about = match info {
            None if named.kind == RefKind::Promise => "a promise".to_owned(),
            None => {
                self.failed(text, &format!("{reference} is not known to this kernel"))?;
                return Ok(Done::Badly);
            }
            Some(info) => {
                let owner = match info.owner {
                    RefOwner::Vat(vat) => format!("an object of {vat}"),
                    RefOwner::Host => "a service of this kernel".to_owned(),
                    RefOwner::Remote => "an object of another kernel".to_owned(),
                    RefOwner::Nobody => "an object that is gone".to_owned(),
                };
                let lasting = if info.lasting == Lasting::Durable { "durable" } else { "ephemeral" };
                format!("{owner}, {lasting}")
            }
        };
        match self.form {
            Form::Values => out::result(&format!("<{reference}>: {about}"))?,
            Form::Json => {
                let (call, reference) = (json_string(&echo(text)), json_string(&reference.to_string()));
                let about = json_string(&about);
                out::result(&format!("{{\"call\":{call},\"ok\":true,\"ref\":{reference},\"about\":{about}}}"))?;
            }
        }
        Ok(Done::Well)
    }
}

/// A line as it may be shown again: without the secrets of URLs, also if what was given as one is none, because a part of
/// it is missing.
pub fn echo(line: &str) -> Cow<'_, str> {
    let mut words = line.split_whitespace();
    let is_about_one = words.next() == Some(":url") && matches!(words.next(), Some("redeem" | "revoke"));
    match words.next() {
        Some(word) if is_about_one && word.len() > LONGEST_SHOWN => {
            Cow::Owned(redact_urls(&line.replace(word, "…")).into_owned())
        }
        _ => redact_urls(line),
    }
}

/// Prints the answer to a command for programs.
pub fn print_json(text: &str, value: &str) -> Result<(), End> {
    let call = json_string(&echo(text));
    out::result(&format!("{{\"call\":{call},\"ok\":true,\"value\":{value}}}"))
}

/// `more` begins with a comma, or is nothing.
fn print_failure(text: &str, why: &str, more: &str) -> Result<(), End> {
    let (call, message) = (json_string(&echo(text)), json_string(why));
    // An error may have been made of anything; nobody has asked it for a URL.
    out::told(&format!("{{\"call\":{call},\"ok\":false,\"message\":{message}{more}}}"))
}

/// Which of the calls that were left it is, for people.
fn which(asked: &Asked) -> String {
    asked.left.map_or_else(String::new, |name| format!("{name}: "))
}

/// The same for programs.
fn json_ended(asked: &Asked) -> String {
    asked.left.map_or_else(String::new, |name| format!(",\"ended\":\"{name}\""))
}

fn json_value(settled: &Settled) -> String {
    match decode(&settled.value) {
        Ok(value) => plain_json(&value, &settled.value.slots),
        Err(_) => format!("{{\"@body\":{}}}", json_string(&settled.value.body)),
    }
}

fn json_refs(shown: &[Shown]) -> String {
    if shown.is_empty() {
        return String::new();
    }
    let one = |shown: &Shown| {
        let (name, reference) = (json_string(&shown.name), json_string(&shown.named.reference.to_string()));
        format!("{name}:{{\"ref\":{reference},\"durable\":{}}}", shown.warning.is_none())
    };
    format!(",\"refs\":{{{}}}", shown.iter().map(one).collect::<Vec<_>>().join(","))
}

/// The references in a value, in the order in which they are printed.
fn references(value: &Value, slots: &[KRef], found: &mut Vec<Named<KRef>>) {
    match value {
        Value::Remotable { slot, iface } => found.extend(slots.get(*slot).map(|&reference| Named {
            reference,
            kind: RefKind::Object,
            iface: iface.clone(),
        })),
        Value::Promise { slot } => {
            found.extend(slots.get(*slot).map(|&reference| Named { reference, kind: RefKind::Promise, iface: None }));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, slots, found)),
        Value::Record(properties) => properties.iter().for_each(|(_, item)| references(item, slots, found)),
        Value::Tagged { payload, .. } => references(payload, slots, found),
        _ => {}
    }
}
