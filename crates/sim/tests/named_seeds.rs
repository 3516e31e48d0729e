//! Seeds that once showed a defect of the kernel or of the link, kept by the name of what went wrong. Most have a test of
//! their own beside the mended piece, too; a seed's run changes with the simulator, that test does not.

use sturdy_sim::plan::Plan;
use sturdy_sim::run::{Verdict, run};
use sturdy_sim::trace::TraceTo;

/// Runs the worlds of these seeds.
fn hold(seeds: &[u64]) {
    for seed in seeds {
        let verdict = run(Plan::from_seed(*seed), TraceTo::Memory);
        assert!(matches!(verdict, Verdict::Passed(_)), "seed {seed}: {verdict:?}");
    }
}

/// A kernel that forgot a peer dropped what that peer was given; the peer, told only that the conversation ended, kept the
/// names and answered redemptions and settled promises with them. That counted as an offence, and who waited hung.
#[test]
fn what_a_forgotten_peer_still_names_ends_in_an_answer() {
    hold(&[7, 99, 107, 213, 281, 291, 357, 425, 476, 496]);
}

/// A store was set back to before it knew a peer; two old greetings moved its conversation on, and a late answer on the
/// connection that it had dialled itself brought the number back.
#[test]
fn a_late_answer_lowers_no_conversation_number() {
    hold(&[176]);
}

/// Both sides dialled, and a message on one connection overtook a greeting on the other: the listener took the greeting
/// for that of a second live copy of the peer, and accused an honest one.
#[test]
fn an_overtaken_greeting_accuses_nobody() {
    hold(&[29, 47, 71, 104, 173, 197]);
}

/// A result that found no room to be told was told as `QUEUE_FULL`, although the call had taken effect: the payer kept
/// what it had paid. It is `ANSWER_LOST` now, which says that the call has taken effect.
#[test]
fn a_result_without_room_is_not_called_undelivered() {
    hold(&[427]);
}

/// A small limit of names between two kernels lost honest messages instead of refusing or delaying them.
#[test]
fn a_small_limit_of_names_loses_no_honest_message() {
    hold(&[38, 48, 53, 55, 79]);
}

/// The number of a run whose start failed is used again: what its messages did was taken for what the next run's did.
#[test]
fn a_failed_start_and_the_next_are_told_apart() {
    hold(&[817, 932]);
}

/// A commit after which reads fail has happened all the same; and a disk has one fault of writes at a time.
#[test]
fn a_commit_that_nobody_hears_of_counts() {
    hold(&[96, 499]);
}

/// Two refusals were on their way to a stranger; the first was lost, the second acknowledged both messages, and the kernel
/// that had refused restarted: the first redemption counted as heard, and waited for ever.
#[test]
fn a_refusal_that_is_lost_is_said_again() {
    hold(&[7865]);
}

/// The line repeated the greeting that had told a kernel that its store was set back: judged again, it moved the number of
/// the conversation on, under a connection that the other side had bound by the first answer.
#[test]
fn a_greeting_is_judged_once() {
    hold(&[5314]);
}

/// A call was handed on to the caller's own kernel, and so the promise of its result came home while messages to it were
/// on their way there and back: what was sent to it then overtook them.
#[test]
fn a_promise_that_comes_home_as_a_result_keeps_the_order() {
    hold(&[12341]);
}

/// The turn in which a deadly delivery was counted was made durable by itself, and what it had let go of was not told.
#[test]
fn a_counted_death_loses_no_garbage() {
    hold(&[15463]);
}

/// A stranger hung up without its refusal, and got a record for another reason: nobody dialled it to say it again.
#[test]
fn a_refusal_of_a_stranger_that_gets_a_record_is_said_again() {
    hold(&[18218]);
}

/// A refusal was repeated to a stranger in the group in which the stranger acknowledged it and got a record.
#[test]
fn a_repeated_refusal_may_come_after_its_acknowledgement() {
    hold(&[36656]);
}

/// A store was set back behind our back, and filled the numbers that it had forgotten before it met its peer again, or
/// took the peer for a stranger: the peer took what it heard for repetitions, or did not know what it was called for.
#[test]
fn a_store_that_was_set_back_is_noticed_by_what_was_said() {
    hold(&[2643, 15296, 19509, 25861]);
}

/// A fault of the checker: when the sender's store was set back, too, it took what the receiver had forgotten for taken.
#[test]
fn what_both_stores_have_forgotten_is_in_no_order() {
    hold(&[889]);
}

/// Six calls, each to what another one results in, were handed to and fro between two kernels for ever, and each round left
/// a row.
#[test]
fn calls_that_wait_for_each_other_in_a_circle_end() {
    hold(&[61537]);
}

/// Known limit (LINK.md), not mended: promises of three kernels that are settled with each other are told round and round.
#[test]
fn a_ring_of_promises_over_three_kernels_unfolds() {
    hold(&[22278]);
}

/// Two vats handed calls on, each to what the other's call results in, while a result that had come home from the peer was
/// withheld: the circle went through the promise that stands in for it, and was not seen, so both calls waited for ever.
#[test]
fn a_circle_through_a_promise_that_came_home_is_seen() {
    hold(&[40389]);
}

/// A fault of the world: when a peer is not listened to for a while, time passed faster than greetings were carried.
#[test]
fn a_peer_that_is_listened_to_again_is_met() {
    hold(&[38515]);
}

/// Two stores were set back one after the other, so that one named objects that the other had never had, and answered a
/// redemption with one: the answer was an offence and consumed, and who had redeemed waited for ever.
#[test]
fn an_answer_that_cannot_be_processed_ends_the_redemption() {
    hold(&[54798]);
}

/// Messages that came too early were held when the peer's store was set back to a time before their conversation. The two
/// met in a conversation of the same number, and what was held was taken for what the peer says now.
#[test]
fn what_is_held_of_a_peer_ends_with_its_process() {
    hold(&[56276]);
}

/// A host's process ended before it heard that an object was unpinned, and the host never asked again: the world's fault, in
/// which the object was kept for good.
#[test]
fn what_a_host_lets_go_of_it_lets_go_of_again_until_it_hears_so() {
    hold(&[16652]);
}

/// A store was set back behind its peer's back, and neither noticed, so what it redeemed then was answered in a life that was
/// undone: the call waited for ever. Since then greetings carry what was said, and show it.
#[test]
fn a_redemption_of_a_store_that_was_set_back_ends() {
    hold(&[17127]);
}
