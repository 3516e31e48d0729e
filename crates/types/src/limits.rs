//! Every limit has a name with its unit (law 10). Reaching one is a designed, tested event.

/// Limits of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelLimits {
    /// Bytes of one message's or resolution's body. A larger message is rejected with `MESSAGE_TOO_LARGE` and not
    /// delivered; a larger resolution becomes a rejection with `ANSWER_LOST`. To a peer goes what fits into a frame, which
    /// may be less.
    pub body_bytes: usize,
    /// Slots of one message or resolution, treated like `body_bytes`.
    pub body_slots: usize,
    /// Messages waiting in one vat's inbox. Further ones are rejected with `QUEUE_FULL`; notifications always fit.
    pub inbox_items: u64,
    /// Messages waiting on one unresolved promise. Further ones are rejected with `QUEUE_FULL`.
    pub promise_queue_items: u64,
    /// Waiting messages that one turn looks at to see whether a message waits for its own outcome. Once they are used
    /// up, messages to promises for whose result something waits already are rejected with `QUEUE_FULL`.
    pub waiting_looked_at_per_turn: usize,
    /// Syscalls of one delivery; more end the vat (`OUTPUT_LIMIT`).
    pub syscalls_per_crank: usize,
    /// Bytes of keys and values that one delivery may write to the vat's state; more end the vat (`OUTPUT_LIMIT`).
    pub state_bytes_per_crank: usize,
    /// Deliveries after which a vat is asked for its garbage.
    pub deliveries_per_reap: u32,
    /// Deaths of the process on one item after which its vat is terminated (G3).
    pub process_deaths_per_item: u32,
    /// Rows of a terminated vat's state that one turn deletes.
    pub cleanup_rows_per_turn: usize,
    /// Settled promises that may be in rings at which it is looked for rings at once. Fewer wait until the kernel is idle.
    pub ring_suspects: usize,
    /// Rows of promises that one turn reads, once after the kernel has begun, to see which may be in rings.
    pub ring_rows_per_turn: usize,
    /// Messages that wait for one peer. Further calls are rejected with `QUEUE_FULL`; notifications always fit.
    pub remote_outbox_messages: u64,
    /// Bytes of messages that wait for one peer, treated like `remote_outbox_messages`.
    pub remote_outbox_bytes: u64,
    /// Messages for one peer, calls and everything else, at which nothing more is accepted from it. More than what calls,
    /// names and garbage can fill while there is no connection, or two full kernels would wait for each other.
    pub remote_reserved_messages: u64,
    /// Bytes of messages for one peer at which the value of a settlement is not told any more: `ANSWER_LOST` is.
    pub remote_reserved_bytes: u64,
    /// Names that one peer has allocated: each is room for what we may have to tell of it. A message that would exceed it
    /// is not accepted until there is room. A quarter of it is what we allocate ourselves, then further calls are rejected
    /// with `QUEUE_FULL`: the other side keeps a name longer than we do.
    pub remote_names: u64,
    /// Failed attempts to reach a peer after which it is given up, unless the peer has a policy of its own; `None`: never.
    pub give_up_attempts: Option<u64>,
    /// Milliseconds since the first failed attempt after which a peer is given up at the next one, likewise.
    pub give_up_after_ms: Option<u64>,
    /// How long objects of ours stay alive for a peer that has lost its state, in milliseconds since it did: nobody can
    /// reach them by what it was given. A reference that it redeems again is its own again.
    pub lost_exports_age_ms: u64,
    /// Peers with a record. Further ones are refused.
    pub remotes: usize,
    /// OCAP URLs that are valid at once. Further ones are refused.
    pub urls: usize,
    /// A single-use URL that was used is remembered this long, in milliseconds, so that whoever used it can ask again.
    pub used_url_age_ms: u64,
    /// Peers without a record that are listened to, because they may yet redeem something. For a further one that which
    /// has been silent longest is hung up on. Far fewer than there are connections: those with a record need some, too.
    pub strangers: usize,
    /// Offences of a peer, things that it must not say, at which its connections are ended and it is not listened to for a
    /// while. Counted for a minute.
    pub offences_per_minute: u64,
    /// Notices about offences of one peer that are told singly; more are summed up when the minute is over.
    pub offence_notices_per_minute: u64,
    /// How long a peer is not listened to for the first time, in milliseconds. Then twice as long each time.
    pub refusal_ms: u64,
    /// How long at most, in milliseconds.
    pub refusal_most_ms: u64,
    /// How long a peer that has asked for garbage is not heeded when it asks again, in milliseconds. Vats are asked for
    /// theirs whenever the kernel is idle anyway.
    pub asked_reap_pause_ms: u64,
    /// Settled answers that no caller fetched are kept this long, in milliseconds.
    pub answer_age_ms: u64,
}

impl Default for KernelLimits {
    fn default() -> Self {
        Self {
            body_bytes: 10_000_000,
            body_slots: 10_000,
            inbox_items: 1_000_000,
            promise_queue_items: 100_000,
            waiting_looked_at_per_turn: 1_000_000,
            syscalls_per_crank: 100_000,
            state_bytes_per_crank: 64 << 20,
            deliveries_per_reap: 1_000,
            process_deaths_per_item: 3,
            cleanup_rows_per_turn: 1_000,
            ring_suspects: 10_000,
            ring_rows_per_turn: 10_000,
            remote_outbox_messages: 1_000_000,
            remote_outbox_bytes: 1 << 30,
            remote_reserved_messages: 20_000_000,
            remote_reserved_bytes: 2 << 30,
            remote_names: 4_000_000,
            give_up_attempts: None,
            give_up_after_ms: None,
            lost_exports_age_ms: 30 * 24 * 3_600_000,
            remotes: 10_000,
            strangers: 256,
            urls: 10_000,
            used_url_age_ms: 30 * 24 * 3_600_000,
            offences_per_minute: 64,
            offence_notices_per_minute: 8,
            refusal_ms: 60_000,
            refusal_most_ms: 3_600_000,
            asked_reap_pause_ms: 1_000,
            answer_age_ms: 24 * 3_600_000,
        }
    }
}

/// Limits of one vat (G13), enforced by its runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VatLimits {
    /// Computing time of one delivery, in milliseconds.
    pub compute_ms: u64,
    /// Computing time of the start delivery, in milliseconds: it loads and evaluates the vat's code.
    pub start_ms: u64,
    /// Bytes of heap.
    pub heap_bytes: usize,
    /// Bytes of stack.
    pub stack_bytes: usize,
}

impl Default for VatLimits {
    fn default() -> Self {
        Self { compute_ms: 100, start_ms: 1_000, heap_bytes: 64 << 20, stack_bytes: 512 << 10 }
    }
}
