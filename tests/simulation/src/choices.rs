//! Where everything that could be otherwise is decided. Choices are written down; a list of them is a
//! schedule, and a shorter list is a simpler one: what is missing is the first choice, the harmless one.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The choices of one schedule.
#[derive(Debug)]
pub struct Choices {
    random: Option<ChaCha8Rng>,
    made: Vec<u32>,
    next: usize,
}

impl Choices {
    /// Choices from a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { random: Some(ChaCha8Rng::seed_from_u64(seed)), made: Vec::new(), next: 0 }
    }

    /// These choices, and then none but harmless ones.
    #[must_use]
    pub const fn replayed(made: Vec<u32>) -> Self {
        Self { random: None, made, next: 0 }
    }

    /// What was chosen.
    #[must_use]
    pub fn into_made(self) -> Vec<u32> {
        self.made
    }

    /// One of the numbers below `n`.
    pub fn below(&mut self, n: u32) -> u32 {
        if n < 2 {
            return 0;
        }
        match &mut self.random {
            Some(random) => {
                let chosen = random.random_range(0..n);
                self.made.push(chosen);
                chosen
            }
            None => {
                let chosen = self.made.get(self.next).copied().unwrap_or(0);
                self.next += 1;
                chosen % n
            }
        }
    }

    /// Once in `n` times; never, where nothing was chosen.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == n - 1
    }

    /// One of these; the first where nothing was chosen.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let n = self.below(u32::try_from(of.len()).unwrap_or(u32::MAX));
        of.get(usize::try_from(n).unwrap_or(0)).copied()
    }
}

/// The shortest list that still fails, as far as removing and simplifying its parts leads, in at most
/// `tries_max` tries.
#[must_use]
pub fn shortest(mut failing: Vec<u32>, mut tries_max: u32, mut fails: impl FnMut(&[u32]) -> bool) -> Vec<u32> {
    let mut size = failing.len() / 2;
    while size > 0 && tries_max > 0 {
        let mut start = 0;
        while start < failing.len() && tries_max > 0 {
            let end = (start + size).min(failing.len());
            let without = [failing.get(..start), failing.get(end..)].into_iter().flatten().flatten().copied();
            let without: Vec<u32> = without.collect();
            let mut harmless = failing.clone();
            harmless.iter_mut().take(end).skip(start).for_each(|choice| *choice = 0);
            tries_max -= 1;
            if fails(&without) {
                failing = without;
            } else if harmless != failing && fails(&harmless) {
                failing = harmless;
                start = end;
            } else {
                start = end;
            }
        }
        size /= 2;
    }
    while failing.last() == Some(&0) {
        failing.pop();
    }
    failing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_choices_and_its_list_plays_them_again() {
        let draw = |choices: &mut Choices| (0..50).map(|n| choices.below(n)).collect::<Vec<_>>();
        let mut seeded = Choices::seeded(7);
        let first = draw(&mut seeded);
        assert_eq!(draw(&mut Choices::seeded(7)), first);
        assert_ne!(draw(&mut Choices::seeded(8)), first);
        assert_eq!(draw(&mut Choices::replayed(seeded.into_made())), first);
    }

    #[test]
    fn a_failing_list_becomes_as_short_as_what_makes_it_fail() {
        let failing: Vec<u32> = (0..200).collect();
        let fails = |list: &[u32]| list.contains(&33) && list.contains(&150);
        assert_eq!(shortest(failing, 1_000, fails), [33, 150]);
    }
}
