//! Calls whose results have not come yet, and among them those that were left: nobody stands and waits for them, and their
//! results are told when they come.
//!
//! What always holds: a call is under way before it is left, so that calls are made in the order of their lines; a name
//! such as `&1` is given once in a session; who drops a call gives up the interest in its result, unless the call has a
//! name of its own.

use crate::out::End;
use crate::session::{RequestName, echo};
use std::collections::BTreeMap;
use std::fmt;
use std::future::{pending, poll_fn, ready};
use std::pin::Pin;
use std::task::Poll;
use sturdy_daemon::{RequestError, Settled};
use tokio::task::{JoinSet, coop};

/// Calls that may be left at once.
const LEFT_CALLS: usize = 10_000;
/// Characters of a line that a list shows.
const LISTED_CHARS: usize = 120;

/// What a call comes to.
pub type Settling = Result<Settled, RequestError>;

type InTime = Pin<Box<dyn Future<Output = Settling> + Send>>;

/// The name of a call that was left: `&1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftName(u64);

impl fmt::Display for LeftName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "&{}", self.0)
    }
}

/// What is known of a call besides its result.
pub struct Asked {
    /// The line that asked for it.
    pub line: String,
    /// Its name, if it is to outlive the process.
    pub request: Option<RequestName>,
    /// What the first reference in its result is to be called.
    pub name: Option<String>,
    /// Its name since it was left.
    pub left: Option<LeftName>,
}

/// A call, or a redemption, that waits for its result.
pub struct Waiting {
    /// What is known of it.
    pub asked: Asked,
    settling: InTime,
}

impl Waiting {
    /// It is made when it is first waited for, or left.
    pub fn new(asked: Asked, settling: impl Future<Output = Settling> + Send + 'static) -> Self {
        Self { asked, settling: Box::pin(settling) }
    }

    /// Its result. Whoever stops waiting may begin again.
    pub async fn settled(&mut self) -> Settling {
        (&mut self.settling).await
    }
}

/// Calls that were left.
#[derive(Default)]
pub struct LeftCalls {
    under_way: JoinSet<(LeftName, Settling)>,
    asked: BTreeMap<LeftName, Asked>,
    last: u64,
}

impl LeftCalls {
    /// Leaves a call. If there are too many already, it is given back as it was.
    pub async fn leave(&mut self, waiting: Waiting) -> Result<LeftName, Waiting> {
        if self.asked.len() >= LEFT_CALLS {
            return Err(waiting);
        }
        self.last += 1;
        let name = LeftName(self.last);
        let Waiting { asked, mut settling } = waiting;
        // A task alone would begin when the runtime likes, which may be after the next line's call was made. The runtime's
        // own fairness must not put this off, either.
        let first = poll_fn(|cx| Poll::Ready(settling.as_mut().poll(cx)));
        let settling: InTime = match coop::unconstrained(first).await {
            Poll::Ready(settled) => Box::pin(ready(settled)),
            Poll::Pending => settling,
        };
        self.under_way.spawn(async move { (name, settling.await) });
        self.asked.insert(name, Asked { left: Some(name), ..asked });
        Ok(name)
    }

    /// The next one whose result has come. While there are none, this waits for ever; it may be dropped at any time.
    pub async fn next(&mut self) -> Result<(Asked, Settling), End> {
        match self.under_way.join_next().await {
            None => pending().await,
            Some(Ok((name, settling))) => {
                let asked = self.asked.remove(&name).expect("both are put in together, and it ends once");
                Ok((asked, settling))
            }
            Some(Err(error)) => Err(End::Error(format!("a call that was left has ended unexpectedly: {error}"))),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Those that still wait: their names and the beginnings of their lines, without the secrets of URLs.
    pub fn list(&self) -> impl Iterator<Item = (LeftName, String)> {
        self.asked.iter().map(|(name, asked)| {
            let line = echo(&asked.line);
            let mut shown: String = line.chars().take(LISTED_CHARS).collect();
            if shown.len() < line.len() {
                shown.push('…');
            }
            (*name, shown)
        })
    }

    /// Why one more cannot be left.
    pub fn too_many() -> String {
        format!("{LEFT_CALLS} calls are waiting already, which is the limit; `:calls` lists them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn asked(line: &str) -> Asked {
        Asked { line: line.to_owned(), request: None, name: None, left: None }
    }

    #[tokio::test]
    async fn at_the_limit_no_more_are_left_until_one_has_ended() {
        let mut left = LeftCalls::default();
        let (settle, settled) = oneshot::channel();
        assert!(left.leave(Waiting::new(asked("a.b() &"), async { settled.await.unwrap() })).await.is_ok());
        for _ in 1..LEFT_CALLS {
            assert!(left.leave(Waiting::new(asked("a.b() &"), pending())).await.is_ok());
        }
        let one_more = Waiting::new(asked("a.c() &"), pending());
        let Err(refused) = left.leave(one_more).await else { panic!("the limit is not heeded") };
        settle.send(Err(RequestError::Stopped("gone".into()))).unwrap();
        let (first, settling) = left.next().await.unwrap();
        assert_eq!(
            (first.left.unwrap().to_string(), settling),
            ("&1".into(), Err(RequestError::Stopped("gone".into())))
        );
        let name = left.leave(refused).await.ok().unwrap();
        assert_eq!(name.to_string(), "&10001", "names are given once");
        assert_eq!(left.list().count(), LEFT_CALLS);
    }

    #[tokio::test]
    async fn what_is_listed_is_short_and_no_secret() {
        let mut left = LeftCalls::default();
        for line in [format!("a.b('{}') &", "é".repeat(500)), format!(":url redeem ocap:zSECRET{}@x &", "9".repeat(40))]
        {
            assert!(left.leave(Waiting::new(asked(&line), pending())).await.is_ok());
        }
        let listed: Vec<String> = left.list().map(|(_, line)| line).collect();
        assert_eq!(listed[0].chars().count(), LISTED_CHARS + 1);
        assert!(!listed[1].contains("SECRET") && listed[1].starts_with(":url redeem"), "{}", listed[1]);
    }
}
