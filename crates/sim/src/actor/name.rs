//! Names of messages: never used twice in a world, whatever is killed, lost or set back.

use std::fmt;

/// Who sent a message, and which of its messages it is. Hosts are vat 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageName {
    /// The kernel.
    pub kernel: u32,
    /// Counts the processes of the kernel.
    pub boot: u32,
    /// The vat.
    pub vat: u32,
    /// Its heap.
    pub run: u32,
    /// Counts the messages of the heap.
    pub number: u64,
}

impl MessageName {
    /// As the body of a message.
    pub fn as_body(self) -> String {
        format!("#[\"m\",[\"{self}\"]]")
    }

    /// As the body of a message that carries money.
    pub fn as_payment(self, amount: u64) -> String {
        format!("#[\"m\",[\"{self}\",\"money\",{amount}]]")
    }

    /// The name in the body of a message: its first argument.
    pub fn of(body: &str) -> Option<Self> {
        Self::with_rest(body).map(|(name, _)| name)
    }

    /// The name of a message that carries money, and how much.
    pub fn of_payment(body: &str) -> Option<(Self, u64)> {
        let (name, rest) = Self::with_rest(body)?;
        let amount = rest.strip_prefix(",\"money\",")?.strip_suffix("]]")?.parse().ok()?;
        Some((name, amount))
    }

    fn with_rest(body: &str) -> Option<(Self, &str)> {
        let (inside, rest) = body.strip_prefix("#[\"m\",[\"")?.split_once('"')?;
        if !rest.starts_with(',') && rest != "]]" {
            return None;
        }
        let mut parts = inside.split('.').map(|part| part.parse::<u64>().ok());
        let mut small = || parts.next()??.try_into().ok();
        let (kernel, boot, vat, run) = (small()?, small()?, small()?, small()?);
        Some((Self { kernel, boot, vat, run, number: parts.next()?? }, rest))
    }

    /// The same for all messages of a heap.
    #[must_use]
    pub const fn stream(self) -> Self {
        Self { number: 0, ..self }
    }

    /// A number for the stream.
    pub fn number_of_stream(self) -> u64 {
        let parts = [self.kernel, self.boot, self.vat, self.run];
        parts.iter().fold(17, |all, part| all.wrapping_mul(1_000_003).wrapping_add(u64::from(*part)))
    }
}

impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}.{}", self.kernel, self.boot, self.vat, self.run, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_again_in_its_body() {
        let name = MessageName { kernel: 1, boot: 2, vat: 3, run: 4, number: 5 };
        assert_eq!(MessageName::of(&name.as_body()), Some(name));
        assert_eq!(MessageName::of_payment(&name.as_body()), None);
        assert_eq!(MessageName::of(&name.as_payment(7)), Some(name));
        assert_eq!(MessageName::of_payment(&name.as_payment(7)), Some((name, 7)));
        assert_eq!(MessageName::of("#[\"m\",[\"1.2.3.4.5\",\"$0\"]]"), Some(name));
        assert_eq!(MessageName::of("#[\"bootstrap\",[]]"), None);
        assert_eq!(MessageName::of("#[\"m\",[\"1.2.3\"]]"), None);
    }
}
