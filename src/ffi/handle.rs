//! Tickets: what C holds instead of addresses.
//!
//! A ticket is a number cast to a typed pointer: kind, life of the process (a fork begins a new one), place in a table, and
//! how often that place has been used. It is looked up and never dereferenced, so that use after free, a second free, the
//! wrong kind, garbage and NULL all end as an error. `sharded-slab` was looked at for this: with room for kind and life its
//! keys have 13 bits to tell uses of a place apart, which a busy server goes through in minutes; here there are 32, and
//! places are used again oldest first.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::process::{epoch, process};
use crate::engine::error::{Error, Kind, Result};

/// Ties a C type to its Rust owner.
pub trait Handle: Any + Send + Sync + Sized {
    /// The opaque type of the header.
    type C;
    /// Tells tickets of different types apart; from 1 to 15.
    const KIND: usize;
    /// What the caller calls it.
    const NAME: &'static str;
}

#[cfg(target_pointer_width = "64")]
mod layout {
    pub const EPOCH: u32 = 6;
    pub const SHARD: u32 = 4;
    pub const SLOT: u32 = 18;
}
#[cfg(not(target_pointer_width = "64"))]
mod layout {
    pub const EPOCH: u32 = 2;
    pub const SHARD: u32 = 2;
    pub const SLOT: u32 = 13;
}

const KIND_BITS: u32 = 4;
const EPOCH_AT: u32 = KIND_BITS;
const SHARD_AT: u32 = EPOCH_AT + layout::EPOCH;
const SLOT_AT: u32 = SHARD_AT + layout::SHARD;
const USE_AT: u32 = SLOT_AT + layout::SLOT;
const USES: usize = (1 << (usize::BITS - USE_AT)) - 1;
const SHARDS: usize = 1 << layout::SHARD;

const fn mask(bits: u32) -> usize {
    (1 << bits) - 1
}

/// The table of everything that C holds.
#[derive(Default)]
pub struct Registry {
    shards: [Mutex<Shard>; SHARDS],
    next_shard: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    slots: Vec<Slot>,
    /// Places that are free, the one that has been so the longest first.
    free: VecDeque<usize>,
}

struct Slot {
    /// Odd numbers of uses do not matter; what matters is that the number changes with each.
    uses: usize,
    owner: Option<Arc<dyn Any + Send + Sync>>,
}

impl Registry {
    fn insert(&self, epoch: usize, kind: usize, owner: Arc<dyn Any + Send + Sync>) -> usize {
        let first = self.next_shard.fetch_add(1, Ordering::Relaxed);
        for n in 0..SHARDS {
            let number = (first + n) % SHARDS;
            let mut shard = self.shards[number].lock().unwrap_or_else(PoisonError::into_inner);
            let slot = match shard.free.pop_front() {
                Some(slot) => slot,
                None if shard.slots.len() <= mask(layout::SLOT) => {
                    shard.slots.push(Slot { uses: 0, owner: None });
                    shard.slots.len() - 1
                }
                None => continue,
            };
            let place = &mut shard.slots[slot];
            place.uses = place.uses % USES + 1;
            place.owner = Some(owner);
            let epoch = epoch & mask(layout::EPOCH);
            return kind | epoch << EPOCH_AT | number << SHARD_AT | slot << SLOT_AT | place.uses << USE_AT;
        }
        // Millions of handles at once: the caller sees NULL.
        0
    }

    fn with<R>(&self, ticket: usize, look: impl FnOnce(&mut Shard, usize) -> R) -> Option<R> {
        let shard = ticket >> SHARD_AT & mask(layout::SHARD);
        let slot = ticket >> SLOT_AT & mask(layout::SLOT);
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let place = shard.slots.get(slot)?;
        (place.owner.is_some() && place.uses == ticket >> USE_AT).then(|| look(&mut shard, slot))
    }

    fn get(&self, ticket: usize) -> Option<Arc<dyn Any + Send + Sync>> {
        self.with(ticket, |shard, slot| shard.slots[slot].owner.clone()).flatten()
    }

    fn remove(&self, ticket: usize) -> Option<Arc<dyn Any + Send + Sync>> {
        self.with(ticket, |shard, slot| {
            shard.free.push_back(slot);
            shard.slots[slot].owner.take()
        })
        .flatten()
    }

    /// Everything of one type that C holds now.
    pub fn all<T: Handle>(&self) -> Vec<Arc<T>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.slots.iter().filter_map(|slot| slot.owner.clone()?.downcast::<T>().ok()));
        }
        all
    }
}

/// Gives C a ticket for `owner`. NULL only where millions are held already.
pub fn insert<T: Handle>(owner: T) -> *mut T::C {
    insert_shared(Arc::new(owner))
}

/// The same for what is shared with others.
pub fn insert_shared<T: Handle>(owner: Arc<T>) -> *mut T::C {
    let process = process();
    process.registry.insert(process.epoch, T::KIND, owner) as *mut T::C
}

/// What a ticket stands for.
pub fn get<T: Handle>(ticket: *const T::C) -> Result<Arc<T>> {
    let number = check::<T>(ticket)?;
    process().registry.get(number).and_then(|owner| owner.downcast::<T>().ok()).ok_or_else(invalid::<T>)
}

/// Takes a ticket out of use and returns what it stood for. Nothing happens with one that stands for nothing.
pub fn remove<T: Handle>(ticket: *const T::C) -> Option<Arc<T>> {
    let number = check::<T>(ticket).ok()?;
    process().registry.remove(number).and_then(|owner| owner.downcast::<T>().ok())
}

/// What can be said of a ticket without a look into the table.
fn check<T: Handle>(ticket: *const T::C) -> Result<usize> {
    let number = ticket as usize;
    if number & mask(KIND_BITS) != T::KIND {
        return Err(invalid::<T>());
    }
    let (then, now) = (number >> EPOCH_AT & mask(layout::EPOCH), epoch() & mask(layout::EPOCH));
    if then < now {
        // The table of the parent may have been locked by a thread that does not exist here: it is not touched.
        return Err(Error::new(Kind::Forked, format!("this {} was made before the fork: make new ones in the child", T::NAME)));
    }
    if then > now {
        return Err(invalid::<T>());
    }
    Ok(number)
}

fn invalid<T: Handle>() -> Error {
    Error::new(Kind::InvalidHandle, format!("not a valid {}: NULL, freed, or of another kind", T::NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(u32);
    impl Handle for Thing {
        type C = u8;
        const KIND: usize = 15;
        const NAME: &'static str = "thing";
    }
    struct Other;
    impl Handle for Other {
        type C = u8;
        const KIND: usize = 14;
        const NAME: &'static str = "other";
    }

    #[test]
    fn a_ticket_works_until_it_is_freed_and_never_again() {
        let ticket = insert(Thing(7));
        assert_eq!(get::<Thing>(ticket).unwrap().0, 7);
        assert_eq!(get::<Other>(ticket).err().unwrap().kind(), Kind::InvalidHandle);
        assert!(remove::<Other>(ticket).is_none());
        assert!(remove::<Thing>(ticket).is_some());
        assert!(remove::<Thing>(ticket).is_none());
        for _ in 0..10_000 {
            let next = insert(Thing(8));
            assert_ne!(next, ticket);
            remove::<Thing>(next);
        }
        assert_eq!(get::<Thing>(ticket).err().unwrap().kind(), Kind::InvalidHandle);
    }

    #[test]
    fn garbage_is_no_ticket() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100_000 {
            let number = random.usize(..);
            let error = get::<Thing>(number as *const u8).err().map(|e| e.kind());
            assert_eq!(error, Some(Kind::InvalidHandle), "{number:x}");
        }
        assert!(get::<Thing>(std::ptr::null()).is_err());
    }
}
