//! The corpus of capability patterns: written once, played on every road.
//!
//! A pattern is a cast of vats, a script of what hosts ask and which answers they must get, and the demand that nothing
//! is left when everybody has let go. What always holds: a script does not know where its vats are; a script that is
//! begun again after a loss gives the same answers ([`play`]).
//!
//! Where the pieces are: the scripts in `corpus`, the vats' programs in `native` and `js`, roads (kernels and the lines
//! between them) behind [`Road`], one of machines in memory in [`SimRoad`], crashes at every commit in [`crash`].

mod census;
mod corpus;
pub mod crash;
mod native;
mod play;
mod road;
mod sim_road;

pub use corpus::all;
pub use native::runtime as native_runtime;
pub use play::{Failure, Played, play};
pub use road::{Code, NativeCode, Road, Trouble, javascript_roles};
pub use sim_road::{CrashPoint, GroupsEnd, SimRoad, When};

/// One pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Its name.
    pub name: &'static str,
    /// What it shows, in one line.
    pub shows: &'static str,
    /// Which guarantees it is about.
    pub guarantees: &'static str,
    /// The vats: name and role.
    pub cast: &'static [(&'static str, &'static str)],
    /// What happens.
    pub script: Vec<Step>,
    /// What is left in the end.
    pub leaves: Leaves,
}

/// What a pattern leaves in the stores when everybody has let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// Nothing: every table is as long as it was.
    Nothing,
    /// On one kernel nothing. On several, promises that a vat was told of and never asks about: it keeps them.
    Rings,
}

/// One thing that a host does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Calls a vat or an object and expects this answer.
    Call(Ask, Expect),
    /// Calls without waiting for the answer, which gets a name.
    Start(&'static str, Ask),
    /// The answer with this name has not come yet.
    Pending(&'static str),
    /// The answer with this name comes.
    Get(&'static str, Expect),
    /// Revokes an object.
    Revoke(&'static str),
    /// Gives a vat a new heap.
    Restart(&'static str),
    /// Looks for garbage until there is none.
    Collect,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The name of the target.
    pub to: &'static str,
    /// The method.
    pub method: &'static str,
    /// The arguments as a JSON array; `"@name"` stands for what bears that name.
    pub args: &'static str,
}

/// An expected answer.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    /// This value, as a smallcaps body without its `#`.
    Is(&'static str),
    /// One object, which gets this name.
    Gives(&'static str),
    /// An error whose message contains this.
    Fails(&'static str),
}

/// What a method without a value answers.
pub const NOTHING: Expect = Expect::Is("\"#undefined\"");

impl Pattern {
    /// The names that a call's arguments mention, in order, and the arguments with slots in their place.
    pub fn slots_of(args: &str) -> (Vec<String>, String) {
        let mut names = Vec::new();
        let mut body = String::new();
        let mut rest = args;
        while let Some((before, after)) = rest.split_once("\"@") {
            let (name, after) = after.split_once('"').unwrap_or((after, ""));
            body.push_str(before);
            body.push_str("\"$");
            body.push_str(&names.len().to_string());
            body.push('"');
            names.push(name.to_owned());
            rest = after;
        }
        body.push_str(rest);
        (names, body)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn names_become_slots() {
        let (names, body) = Pattern::slots_of(r#"["@bob","x",3,"@carol"]"#);
        assert_eq!((names, body.as_str()), (vec!["bob".into(), "carol".into()], r#"["$0","x",3,"$1"]"#));
    }
}
