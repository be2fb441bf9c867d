//! One request from its first attempt to its END, and the queue that its caller takes the events from.

pub mod accumulate;
pub mod failure;
pub mod handle;
pub mod queue;
pub mod reentry;
pub mod run;
pub mod tools;

pub use handle::Stream;
