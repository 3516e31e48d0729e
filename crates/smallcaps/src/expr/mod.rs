//! The prompt's language: `counter.increment(3, [1, {a: true}], 12n, ko5, $2)`. A line names a target and either only
//! looks at it or calls one method; arguments are literals in the manner of JavaScript, and references by name.
//!
//! Always: a mistake is told with its column and with what was expected there. Not here: what names mean; the caller's
//! `resolve` knows, and its complaint is passed on.

mod cursor;
mod literal;

use crate::encode::encode;
use crate::value::Value;
use cursor::Cursor;
use literal::Literals;
use sturdy_types::CapData;

/// A line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct ExprError {
    /// Where, in characters, the first being 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<R> {
    /// The reference.
    pub reference: R,
    /// Object or promise.
    pub kind: RefKind,
    /// How the object describes itself, if that is known.
    pub iface: Option<String>,
}

/// The two kinds of reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefKind {
    /// An object.
    Object,
    /// A promise.
    Promise,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<R> {
    /// Just a name: show what it is.
    Inspect(Named<R>),
    /// A call.
    Call(Call<R>),
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call<R> {
    /// What is called.
    pub target: Named<R>,
    /// Which method.
    pub method: String,
    /// The arguments; references in them are indices into `slots`.
    pub arguments: Vec<Value>,
    /// The references that the arguments mention, each once.
    pub slots: Vec<R>,
}

impl<R: Clone> Call<R> {
    /// Method and arguments as they go into a message.
    pub fn methargs(&self) -> CapData<R> {
        let arguments = Value::Array(self.arguments.clone());
        encode(&Value::Array(vec![Value::string(&self.method), arguments]), self.slots.clone())
    }
}

/// Reads one line. `resolve` says what a name (`counter`, `ko5`, `$2`) stands for, or why it does not.
pub fn parse_line<R: PartialEq>(
    text: &str,
    mut resolve: impl FnMut(&str) -> Result<Named<R>, String>,
) -> Result<Line<R>, ExprError> {
    let mut cursor = Cursor::new(text);
    let (target_text, target) = target(&mut cursor, &mut resolve)?;
    if end_of_line(&mut cursor) {
        return Ok(Line::Inspect(target));
    }
    if !cursor.eat('.') {
        return Err(cursor.expected(&format!("`.` and a method, as in `{target_text}.method()`")));
    }
    let Some(method) = cursor.name() else {
        return Err(cursor.expected(&format!("the name of a method, as in `{target_text}.method()`")));
    };
    if !cursor.eat('(') {
        let hint = format!("`(` after the method's name: write `{target_text}.{method}()` to call it");
        return Err(cursor.expected(&hint));
    }
    let mut literals = Literals::new(&mut cursor, &mut resolve);
    let arguments = literals.list(')')?;
    let slots = literals.slots;
    if !end_of_line(&mut cursor) {
        return Err(cursor.expected("the end of the line after `)`"));
    }
    Ok(Line::Call(Call { target, method: method.into(), arguments, slots }))
}

/// Reads one value, as for an argument. Returns the references it mentions beside it.
pub fn parse_value<R: PartialEq>(
    text: &str,
    mut resolve: impl FnMut(&str) -> Result<Named<R>, String>,
) -> Result<(Value, Vec<R>), ExprError> {
    let mut cursor = Cursor::new(text);
    let mut literals = Literals::new(&mut cursor, &mut resolve);
    let value = literals.value()?;
    let slots = literals.slots;
    if cursor.spaces_then_end() { Ok((value, slots)) } else { Err(cursor.expected("the end of the line")) }
}

/// A name, or one in quotes if it is not an identifier.
fn target<R>(
    cursor: &mut Cursor<'_>,
    resolve: &mut impl FnMut(&str) -> Result<Named<R>, String>,
) -> Result<(String, Named<R>), ExprError> {
    cursor.spaces();
    let mark = cursor.mark();
    let (shown, name) = match cursor.peek() {
        Some(quote @ ('"' | '\'')) => {
            let name = cursor.string()?;
            (format!("{quote}{name}{quote}"), name)
        }
        _ => match cursor.name() {
            Some(name) => (name.into(), name.into()),
            None => return Err(cursor.expected("the name of an object, as in `counter.increment(3)`")),
        },
    };
    match resolve(&name) {
        Ok(named) => Ok((shown, named)),
        Err(message) => Err(cursor.complaint(mark, message)),
    }
}

fn end_of_line(cursor: &mut Cursor<'_>) -> bool {
    cursor.eat(';');
    cursor.spaces_then_end()
}
