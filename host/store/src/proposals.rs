//! What somebody wants the registry of people to say next, while the others sign it one after the other.

use crate::audit::{self, Fact};
use crate::db::{Conn, Row, query};
use crate::error::{Error, Result};
use crate::lease::clock;
use crate::people::{self, StoredPeople};
use crate::store::Store;
use crate::switches;

/// Proposals that may wait at the same time: people sign one thing after the other.
pub const PENDING_MAX: i64 = 32;

/// Where a proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProposalState {
    /// It waits for signatures.
    Pending,
    /// It is the registry's next version.
    Adopted,
    /// Somebody took it back.
    Discarded,
    /// Another proposal became the version that this one was to be.
    Overtaken,
}

impl ProposalState {
    /// Every state, in the order of this file.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Adopted, Self::Discarded, Self::Overtaken];

    /// The word of the store and of JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Adopted => "adopted",
            Self::Discarded => "discarded",
            Self::Overtaken => "overtaken",
        }
    }
}

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// 1, 2, 3 …, as people name it.
    pub number: u64,
    /// The version that it is to be.
    pub version: u64,
    /// The document, with the signatures so far.
    pub envelope: String,
    /// Why.
    pub reason: String,
    /// Who proposed it: `person:alice`.
    pub proposed_by: String,
    /// When, by the database's clock.
    pub at_us: i64,
    /// Where it stands.
    pub state: ProposalState,
    /// When that came to an end.
    pub ended_at_us: Option<i64>,
}

/// Everything that the store knows for a change of the registry.
#[derive(Clone, Debug)]
pub struct KnownPeople {
    /// Every version, from the first.
    pub versions: Vec<StoredPeople>,
    /// The proposal that it is about, held; `None` where there is none yet.
    pub proposal: Option<Proposal>,
    /// Now, by the database's clock.
    pub now_us: i64,
}

/// What is done about the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Motion {
    /// Something new is proposed, and signed by who proposes it.
    Propose {
        /// The version that it is to be.
        version: u64,
        /// The document with a signature.
        envelope: String,
        /// Why.
        reason: String,
        /// Whether that signature is enough.
        is_enough: bool,
    },
    /// Somebody signed.
    Sign {
        /// The document with one signature more.
        envelope: String,
        /// Whether they are enough.
        is_enough: bool,
    },
    /// It is taken back.
    Discard {
        /// Why.
        reason: String,
    },
}

const COLUMNS: &str = "SELECT number, version, envelope, reason, proposed_by, at_us, state, ended_at_us \
     FROM people_proposals";

impl Store {
    /// Changes the registry, or what is to become of it, in one transaction; whoever decides about a run does so
    /// before or after. `judge` says what is done and by whom; where it refuses, nothing is written.
    ///
    /// # Errors
    /// [`Error::ProposalUnknown`], [`Error::ProposalsFull`], [`Error::Superseded`]. The inner one is the judge's.
    pub async fn move_people<E>(
        &self,
        about: Option<u64>,
        judge: impl FnOnce(&KnownPeople) -> std::result::Result<(Motion, String), E>,
    ) -> Result<std::result::Result<Proposal, E>> {
        let failed = self.failed("changing the registry of people");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        switches::hold_alone(tx.conn(), failed).await?;
        let proposal = match about {
            None => None,
            Some(number) => Some(one(tx.conn(), number, failed).await?),
        };
        let versions = people::all(tx.conn(), failed).await?;
        let known = KnownPeople { versions, proposal, now_us: clock(tx.conn(), failed).await? };
        let (motion, by) = match judge(&known) {
            Ok(moved) => moved,
            Err(refused) => return Ok(Err(refused)),
        };
        let number = write(tx.conn(), &known, motion, &by, failed).await?;
        let proposal = one(tx.conn(), number, failed).await?;
        tx.commit().await.map_err(failed)?;
        Ok(Ok(proposal))
    }

    /// Proposals, the newest first: every pending one is among them.
    ///
    /// # Errors
    /// As any read.
    pub async fn proposals(&self, limit: u32) -> Result<Vec<Proposal>> {
        let failed = self.failed("reading what is proposed");
        let mut reader = self.reader().await?;
        let rows =
            query(format!("{COLUMNS} ORDER BY CASE state WHEN 'pending' THEN 0 ELSE 1 END, number DESC LIMIT $1"))
                .bind(i64::from(limit))
                .all(reader.conn())
                .await
                .map_err(failed)?;
        rows.iter().map(|row| from_row(row, failed)).collect()
    }

    /// A proposal.
    ///
    /// # Errors
    /// [`Error::ProposalUnknown`].
    pub async fn proposal(&self, number: u64) -> Result<Proposal> {
        let mut reader = self.reader().await?;
        one(reader.conn(), number, self.failed("reading what is proposed")).await
    }
}

async fn one(conn: Conn<'_>, number: u64, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<Proposal> {
    let column = i64::try_from(number).unwrap_or(i64::MAX);
    let row = query(format!("{COLUMNS} WHERE number = $1")).bind(column).optional(conn).await.map_err(failed)?;
    from_row(&row.ok_or(Error::ProposalUnknown { number })?, failed)
}

fn from_row(row: &Row, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<Proposal> {
    let number: i64 = row.try_get("number").map_err(failed)?;
    let state: String = row.try_get("state").map_err(failed)?;
    let known = ProposalState::ALL.into_iter().find(|known| known.word() == state);
    let unknown = || Error::corrupt("people_proposals", "state", number.to_string(), state.clone());
    Ok(Proposal {
        number: number.unsigned_abs(),
        version: row.try_get::<i64>("version").map_err(failed)?.unsigned_abs(),
        envelope: row.try_get("envelope").map_err(failed)?,
        reason: row.try_get("reason").map_err(failed)?,
        proposed_by: row.try_get("proposed_by").map_err(failed)?,
        at_us: row.try_get("at_us").map_err(failed)?,
        state: known.ok_or_else(unknown)?,
        ended_at_us: row.try_get("ended_at_us").map_err(failed)?,
    })
}

/// Writes a motion down, and gives the number of what it is about.
async fn write(
    mut conn: Conn<'_>,
    known: &KnownPeople,
    motion: Motion,
    by: &str,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<u64> {
    let now_us = known.now_us;
    let held = || known.proposal.as_ref().ok_or_else(|| Error::Bug("a motion about no proposal".to_owned()));
    let (number, version, adopted) = match motion {
        Motion::Propose { version, envelope, reason, is_enough } => {
            let number = add(conn.reborrow(), (version, &envelope, &reason, by), now_us, failed).await?;
            let fact = Fact::new("people.proposed", by, now_us).say("proposal", number).say("version", version);
            audit::record(conn.reborrow(), fact.say("reason", reason), failed).await?;
            (number, version, is_enough.then_some(envelope))
        }
        Motion::Sign { envelope, is_enough } => {
            let Proposal { number, version, .. } = *held()?;
            let column = i64::try_from(number).unwrap_or(i64::MAX);
            query("UPDATE people_proposals SET envelope = $1 WHERE number = $2")
                .bind(envelope.as_str())
                .bind(column)
                .execute(conn.reborrow())
                .await
                .map_err(failed)?;
            let fact = Fact::new("people.signed", by, now_us).say("proposal", number).say("version", version);
            audit::record(conn.reborrow(), fact, failed).await?;
            (number, version, is_enough.then_some(envelope))
        }
        Motion::Discard { reason } => {
            let number = held()?.number;
            end(conn.reborrow(), number, ProposalState::Discarded, now_us, failed).await?;
            let fact = Fact::new("people.discarded", by, now_us).say("proposal", number).say("reason", reason);
            audit::record(conn.reborrow(), fact, failed).await?;
            return Ok(number);
        }
    };
    if let Some(envelope) = adopted {
        people::add(conn.reborrow(), version, &envelope, by, now_us, failed).await?;
        end(conn.reborrow(), number, ProposalState::Adopted, now_us, failed).await?;
        // What was to be this version, or an earlier one, can be none any more.
        query("UPDATE people_proposals SET state = $1, ended_at_us = $2 WHERE state = $3 AND version <= $4")
            .bind(ProposalState::Overtaken.word())
            .bind(now_us)
            .bind(ProposalState::Pending.word())
            .bind(i64::try_from(version).unwrap_or(i64::MAX))
            .execute(conn)
            .await
            .map_err(failed)?;
    }
    Ok(number)
}

async fn add(
    mut conn: Conn<'_>,
    (version, envelope, reason, by): (u64, &str, &str, &str),
    now_us: i64,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<u64> {
    let pending = query("SELECT count(*) FROM people_proposals WHERE state = $1")
        .bind(ProposalState::Pending.word())
        .scalar::<i64>(conn.reborrow())
        .await
        .map_err(failed)?;
    if pending.is_none_or(|n| n >= PENDING_MAX) {
        return Err(Error::ProposalsFull);
    }
    let number = query(
        "INSERT INTO people_proposals (number, version, envelope, reason, proposed_by, at_us, state, ended_at_us) \
         SELECT coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5, $6, NULL FROM people_proposals RETURNING number",
    )
    .bind(i64::try_from(version).unwrap_or(i64::MAX))
    .bind(envelope)
    .bind(reason)
    .bind(by)
    .bind(now_us)
    .bind(ProposalState::Pending.word())
    .scalar::<i64>(conn)
    .await
    .map_err(failed)?;
    number.map(i64::unsigned_abs).ok_or_else(|| Error::Bug("an insert gave no row".to_owned()))
}

async fn end(
    conn: Conn<'_>,
    number: u64,
    state: ProposalState,
    now_us: i64,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<()> {
    query("UPDATE people_proposals SET state = $1, ended_at_us = $2 WHERE number = $3")
        .bind(state.word())
        .bind(now_us)
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .execute(conn)
        .await
        .map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::testing::opened;

    fn propose(version: u64, is_enough: bool) -> Motion {
        Motion::Propose { version, envelope: format!("v{version}"), reason: "she joined".into(), is_enough }
    }

    async fn done(store: &Store, about: Option<u64>, motion: Motion) -> Proposal {
        let Ok(proposal) =
            store.move_people(about, |_| Ok::<_, Infallible>((motion, "person:ana".into()))).await.unwrap();
        proposal
    }

    #[tokio::test]
    async fn a_proposal_waits_for_signatures_and_then_is_the_next_version() {
        let (_dir, store) = opened().await;
        done(&store, None, propose(1, true)).await;
        let pending = done(&store, None, propose(2, false)).await;
        let rival = done(&store, None, propose(2, false)).await;
        let taken_back = done(&store, None, propose(2, false)).await;
        let reason = "not now".to_owned();
        let taken_back = done(&store, Some(taken_back.number), Motion::Discard { reason }).await;
        assert_eq!((taken_back.state, pending.state), (ProposalState::Discarded, ProposalState::Pending));
        let signed = Motion::Sign { envelope: "v2, signed".into(), is_enough: false };
        assert_eq!(done(&store, Some(pending.number), signed).await.state, ProposalState::Pending);
        let signed = Motion::Sign { envelope: "v2, signed twice".into(), is_enough: true };
        let adopted = done(&store, Some(pending.number), signed).await;
        assert_eq!((adopted.state, adopted.ended_at_us.is_some()), (ProposalState::Adopted, true));
        assert_eq!(store.proposal(rival.number).await.unwrap().state, ProposalState::Overtaken);
        let versions = store.people().await.unwrap();
        assert_eq!(versions.iter().map(|v| v.envelope.as_str()).collect::<Vec<_>>(), ["v1", "v2, signed twice"]);
        assert_eq!(store.proposals(10).await.unwrap().len(), 4);
        let unknown = store.proposal(9).await.unwrap_err();
        assert!(matches!(unknown, Error::ProposalUnknown { number: 9 }), "{unknown}");
    }

    #[tokio::test]
    async fn a_motion_that_is_refused_writes_nothing_and_pending_ones_are_bounded() {
        let (_dir, store) = opened().await;
        let refused = store.move_people(None, |known| Err::<(Motion, String), _>(known.now_us)).await.unwrap();
        assert!(refused.unwrap_err() > 0 && store.proposals(10).await.unwrap().is_empty());
        for _ in 0..PENDING_MAX {
            done(&store, None, propose(2, false)).await;
        }
        let more = (propose(2, false), "person:ana".to_owned());
        let full = store.move_people(None, |_| Ok::<_, Infallible>(more)).await;
        assert!(matches!(full.unwrap_err(), Error::ProposalsFull));
    }
}
