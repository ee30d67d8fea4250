//! One death: a host is killed at a point, and the next one looks after what is left.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;

use mendwright_checker::Promises;
use mendwright_crash::Point;

use super::base::{Base, HOST, KEY, ask, done, end, rows};
use super::table::{Case, Verb, Way};
use crate::serve::ground::Ground;
use crate::serve::house::{Serving, tail, until};
use crate::world::{App, Engine};

const SIGKILL: i32 = 9;

/// What a host left behind that was killed.
pub(super) struct Dead {
    case: Case,
    ground: Ground,
    promises: Promises,
}

impl Case {
    /// Lets a host do what is asked of it, until it is killed at the point.
    pub(super) async fn kill(self, base: &Base) -> Dead {
        let ground = base.ground.copy().await;
        let now = ground.house.world.directory().join("now");
        let (first, nth) = match self.way {
            Way::Plain | Way::Held => (self.point, self.nth),
            Way::After(first) => (first, 1),
        };
        let once = ("CRASH_ONCE", now.display().to_string());
        let host = Arc::new(ground.house.serve_where(HOST, &[at(first, nth), once]).await);
        let mut promises = Promises::default();
        let earlier = match self.verb {
            Verb::DryRun => vec![],
            Verb::Apply => vec![Verb::DryRun],
            Verb::Rollback => vec![Verb::DryRun, Verb::Apply],
        };
        for verb in earlier {
            promised(&mut promises, verb, ask(&host, verb).unwrap()["state"].as_str());
            idle(&host).await;
        }
        let holder = if self.way == Way::Held { Some(hold(&ground).await) } else { None };
        std::fs::write(&now, "").unwrap();
        let asking = tokio::task::spawn_blocking({
            let (host, verb) = (host.clone(), self.verb);
            move || ask(&host, verb)
        });
        // Where it dies after its answer, the client was told.
        if let Ok(run) = asking.await.unwrap() {
            promised(&mut promises, self.verb, run["state"].as_str());
        }
        let host = Arc::into_inner(host).expect("nobody else has it any more");
        self.dies(host, first).await;
        if let Some(mut holder) = holder {
            holder.run("ROLLBACK").await;
        }
        Dead { case: self, ground, promises }
    }

    /// Waits until the host is dead, and by nothing but the point.
    async fn dies(self, mut host: Serving, point: Point) {
        let mut status = None;
        until(&format!("{self:?}: dies at {}", point.name()), async || {
            status = host.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        assert_eq!(status.unwrap().signal(), Some(SIGKILL), "{self:?}: {status:?} {}", tail(&host.log()));
    }
}

/// What a client was told.
fn promised(promises: &mut Promises, verb: Verb, state: Option<&str>) {
    assert_eq!(state, Some(done(verb)), "{verb:?}");
    match verb {
        Verb::DryRun => drop(promises.begun.insert(KEY.to_owned(), 1)),
        Verb::Apply => promises.applied.push(1),
        Verb::Rollback => promises.undone.push(1),
    }
}

/// Until nobody works on the run, if it was begun. It may have to wait for the lease of a dead host.
async fn idle(host: &Serving) {
    until("nobody works on the run", async || {
        let run = host.get("/runs/1?wait=30s");
        let is_free = run.status == 404 || (run.body["asked"].is_null() && run.body["leased"].is_null());
        is_free && host.get("/status").body["host"]["working_on"] == 0
    })
    .await;
}

/// The application holds the rows.
async fn hold(ground: &Ground) -> App {
    let mut app = ground.house.world.app().await;
    app.run(match ground.house.world.engine {
        Engine::Sqlite => "BEGIN IMMEDIATE",
        Engine::Postgres => "BEGIN; SELECT 1 FROM counter FOR UPDATE",
    })
    .await;
    app
}

fn at(point: Point, nth: u32) -> (&'static str, String) {
    ("CRASH_AT", format!("{}:{nth}", point.name()))
}

impl Dead {
    /// Lets the next host die while it looks after what was left, where the case says so.
    pub(super) async fn again(self) -> Self {
        if let Way::After(_) = self.case.way {
            let host = self.ground.house.start(HOST, &[at(self.case.point, self.case.nth)]);
            self.case.dies(host, self.case.point).await;
        }
        self
    }

    /// Starts the next host, repeats what was asked, goes on to the rollback, and looks at everything.
    pub(super) async fn look_after(self, base: &Base) {
        let Self { case, ground, mut promises } = self;
        let left = rows(&ground).await;
        assert!(left == base.before || left == base.after, "{case:?}: a part of the change is there: {left:#?}");
        let host = ground.house.serve(HOST).await;
        idle(&host).await;
        // The same request is the same run, whether the first one was kept or not.
        let run = ask(&host, Verb::DryRun).unwrap();
        promises.begun.insert(KEY.to_owned(), 1);
        let mut state = run["state"].as_str().unwrap().to_owned();
        let may_be: &[&str] = match case.verb {
            Verb::DryRun => &["planned"],
            Verb::Apply => &["planned", "succeeded"],
            Verb::Rollback => &["succeeded", "rolled_back"],
        };
        assert!(may_be.contains(&state.as_str()), "{case:?}: {run} {}", tail(&host.log()));
        for verb in [Verb::Apply, Verb::Rollback] {
            if state == done(Verb::DryRun) || (verb == Verb::Rollback && state == done(Verb::Apply)) {
                idle(&host).await;
                state = ask(&host, verb).unwrap()["state"].as_str().unwrap_or_default().to_owned();
                promised(&mut promises, verb, Some(&state));
            }
            let wanted = if state == done(Verb::Apply) { &base.after } else { &base.before };
            assert_eq!(&rows(&ground).await, wanted, "{case:?}: {state}");
        }
        assert_eq!(state, done(Verb::Rollback), "{case:?}");
        end(host).await;
        let scene = ground.scene_of(HOST, base.log_key.clone(), promises);
        let (mut control, mut target) = ground.look().await;
        let (seen, mut wrong) = mendwright_checker::check(&scene, &mut control, &mut target).await.unwrap();
        wrong.extend(mendwright_checker::held(&scene, &mut control, &mut target).await.unwrap());
        assert!(wrong.is_empty(), "{case:?}: {wrong:#?}\n{}", tail(&ground.house.log(HOST)));
        assert_eq!((seen.runs, seen.applied, seen.commits), (1, 1, 2), "{case:?}: an apply and its rollback");
    }
}
