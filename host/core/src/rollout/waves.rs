//! `5,20%,50%,100%`: how many of the tenants are done after each wave, and who they are.

use std::fmt;
use std::str::FromStr;

use crate::policy::canary_part;

/// Waves of one rollout: more are hours of waiting that nobody watches.
const WAVES_MAX: usize = 20;

/// One wave's size: how many tenants have had their turn after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Tenants(u64),
    Percent(u64),
}

impl Size {
    /// Of so many. A percentage is rounded up: a wave that is there has somebody in it.
    fn of(self, all: u64) -> u64 {
        match self {
            Self::Tenants(n) => n.min(all),
            Self::Percent(percent) => all.saturating_mul(percent).div_ceil(100),
        }
    }
}

/// The waves of a rollout, as they were typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waves {
    sizes: Vec<Size>,
}

impl Waves {
    /// The tenants in the order of their turns, each with its wave, from 0. The order is that of a canary: a
    /// tenant that policy lets go first goes first here too, and it is the same in every rollout.
    #[must_use]
    pub fn seat(&self, tenants: &[String]) -> Vec<(usize, String)> {
        let mut tenants = tenants.to_vec();
        tenants.sort_by_cached_key(|tenant| (canary_part(tenant), tenant.clone()));
        tenants.dedup();
        let all = u64::try_from(tenants.len()).unwrap_or(u64::MAX);
        let ends: Vec<u64> = self.sizes.iter().map(|size| size.of(all)).collect();
        let last = ends.len().saturating_sub(1);
        let wave = |place: u64| ends.iter().position(|end| place < *end).unwrap_or(last);
        (0..).zip(tenants).map(|(place, tenant)| (wave(place), tenant)).collect()
    }
}

impl FromStr for Waves {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let size = |part: &str| {
            let part = part.trim();
            let (digits, is_percent) = part.strip_suffix('%').map_or((part, false), |digits| (digits.trim(), true));
            match digits.parse::<u64>() {
                Ok(n) if n > 0 && is_percent && n <= 100 => Ok(Size::Percent(n)),
                Ok(n) if n > 0 && !is_percent => Ok(Size::Tenants(n)),
                Ok(_) | Err(_) => Err(format!("`{part}` is no wave: a number of tenants from 1, or 1% to 100%")),
            }
        };
        let sizes: Vec<Size> = text.split(',').map(size).collect::<Result<_, _>>()?;
        if sizes.len() > WAVES_MAX {
            return Err(format!("a rollout has {WAVES_MAX} waves at most, and not {}", sizes.len()));
        }
        for pair in sizes.windows(2) {
            let grows = match pair {
                [Size::Tenants(a), Size::Tenants(b)] | [Size::Percent(a), Size::Percent(b)] => a < b,
                // Which is more depends on how many tenants there are.
                _ => true,
            };
            if !grows {
                return Err("each wave is larger than the one before: it counts the tenants of those too".to_owned());
            }
        }
        if sizes.last() != Some(&Size::Percent(100)) {
            return Err("the last wave is 100%, or tenants would be left out".to_owned());
        }
        Ok(Self { sizes })
    }
}

impl fmt::Display for Waves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, size) in self.sizes.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            match size {
                Size::Tenants(tenants) => write!(f, "{comma}{tenants}")?,
                Size::Percent(percent) => write!(f, "{comma}{percent}%")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::canary;

    fn names(n: u32) -> Vec<String> {
        (0..n).map(|i| format!("tenant-{i}")).collect()
    }

    fn sizes(waves: &str, tenants: u32) -> Vec<usize> {
        let seats = waves.parse::<Waves>().unwrap().seat(&names(tenants));
        let waves = seats.iter().map(|(wave, _)| *wave).max().map_or(0, |last| last + 1);
        (0..waves).map(|wave| seats.iter().filter(|seat| seat.0 == wave).count()).collect()
    }

    #[test]
    fn a_wave_counts_the_tenants_of_those_before_it() {
        assert_eq!(sizes("5,20%,50%,100%", 100), [5, 15, 30, 50]);
        assert_eq!(sizes("1%,100%", 3), [1, 2]);
        assert_eq!(sizes("5,20%,100%", 4), [4]);
        assert_eq!(sizes("50,20%,100%", 100), [50, 0, 50]);
        assert_eq!(sizes("100%", 0), [] as [usize; 0]);
    }

    #[test]
    fn the_first_are_those_that_a_canary_takes_whatever_order_they_come_in() {
        let waves: Waves = "10%,100%".parse().unwrap();
        let (mut all, seats) = (names(200), waves.seat(&names(200)));
        all.reverse();
        assert_eq!(waves.seat(&all), seats);
        let last_of_first = seats.iter().filter(|seat| seat.0 == 0).map(|seat| canary_part(&seat.1)).max().unwrap();
        for (wave, tenant) in &seats {
            let share = u16::try_from(last_of_first + 1).unwrap();
            assert_eq!(*wave == 0, canary(tenant, share), "{tenant}");
        }
    }

    #[test]
    fn what_is_no_waves_is_said_so_and_what_is_prints_back() {
        for text in ["100%", "5,20%,50%,100%"] {
            assert_eq!(text.parse::<Waves>().unwrap().to_string(), text);
        }
        let wrong = ["", "0,100%", "x,100%", "101%", "5,3,100%", "50%,20%,100%", "5,50%", "-1,100%", "0%,100%"];
        let errors: Vec<String> =
            wrong.iter().map(|text| format!("{text}: {}", text.parse::<Waves>().unwrap_err())).collect();
        insta::assert_snapshot!("waves", errors.join("\n"));
        assert!(vec!["1"; 30].join(",").parse::<Waves>().is_err());
    }
}
