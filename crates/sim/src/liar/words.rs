//! Texts that no encoder writes, for liars to say.

/// Texts after the number of a message, or after the brace of one without a number, that no encoder writes.
pub(super) const WRONG_WORDS: &[&str] = &[
    "\"method\":\"nonsense\",\"params\":[]",
    "\"method\":\"deliver\",\"params\":[]",
    "\"method\":\"deliver\",\"params\":[\"nonsense\"]",
    "\"method\":\"deliver\",\"params\":[\"message\",\"ro-01\",{}]",
    "\"method\":\"deliver\",\"params\":[\"message\",\"o+1\",{\"methargs\":{\"body\":\"#[]\",\"slots\":[]}}]",
    "\"method\":\"deliver\",\"params\":[\"message\",\"ro-1\",{\"methargs\":{\"body\":\"[]\",\"slots\":[]}}]",
    "\"method\":\"deliver\",\"params\":[\"notify\",[]]",
    "\"method\":\"deliver\",\"params\":[\"notify\",[[\"ro+1\",false,{\"body\":\"#1\",\"slots\":[]}]]]",
    "\"method\":\"deliver\",\"params\":[\"dropExports\",[1,2]]",
    "\"method\":\"deliver\",\"params\":[\"retireImports\",\"ro+1\"]",
    "\"method\":\"redeemURL\",\"params\":[\"\",\"\"]",
    "\"method\":\"redeemURL\",\"params\":[\"ocap:z@\",\"k\"]",
    "\"method\":\"redeemURLReply\",\"params\":[true,\"k\"]",
    "\"method\":\"redeemURLReply\",\"params\":[true,\"k\",\"rp+1\"]",
    "\"method\":\"deliver\",\"method\":\"redeemURL\",\"params\":[\"bringOutYourDead\"]",
    "\"method\":7,\"params\":{}",
    "\"params\":[\"bringOutYourDead\"]",
];

/// Frames that are none.
pub(super) const NOISE: &[&[u8]] = &[
    b"",
    b"{}",
    b"[]",
    b"null",
    b"7",
    b"{\"seq\":1",
    b"{\"seq\":0,\"method\":\"deliver\",\"params\":[]}",
    b"{\"seq\":-1}",
    b"{\"seq\":1.5}",
    b"{\"seq\":1e400}",
    b"{\"seq\":18446744073709551616}",
    b"{\"ack\":0}",
    b"{\"ack\":\"1\"}",
    b"{\"seq\":1,\"method\":\"\xff\xfe\",\"params\":[]}",
    b"{\"seq\":1,\"method\":\"\\ud800\",\"params\":[]}",
    b"\xef\xbb\xbf{\"ack\":1}",
    b"{\"method\":\"handshake\"}",
    b"{\"method\":\"handshake\",\"params\":{\"incarnationId\":\"\"}}",
    b"{\"method\":\"handshake\",\"params\":{\"incarnationId\":\"x\",\"sturdy\":7}}",
    b"{\"method\":\"handshake\",\"params\":{\"incarnationId\":\"x\",\"sturdy\":{\"version\":1,\"conversation\":1,\"saw\":null,\"firstPending\":9,\"nextSend\":2,\"highestReceived\":0}}}",
];
