//! The words of Mendwright as types, and every decision that needs nothing but its inputs.
//!
//! **Invariant**: nothing here touches a file, a network, a clock, a database or a random source, and
//! nothing waits. `core` decides; the other crates act.
//!
//! In reading order:
//! - [`value`], [`decimal`], [`kind`]: one value of one column, and what kind it is;
//! - [`change`]: what a repair does to one row; [`binding`]: where such a row lives;
//! - [`class`], [`authority`], [`budget`]: what is touched, by whose leave, and how much of it;
//! - [`level`]: what follows from that for who may start it;
//! - [`merkle`], [`commitment`], [`plan`]: the changes as something people can approve;
//! - [`compare`]: the plan of then against the changes of now; [`undo`]: the way back, as people approve it;
//! - [`run`], [`task`]: a repair from its dry run to its end, and what is to be done with it;
//!   [`work`]: what a worker does next, and what it writes down of how that ended; [`recovery`]: what follows
//!   from what a dead process left; [`switch`], [`gate`]: what holds it still;
//! - [`key`], [`dsse`], [`people`], [`approval`]: who is who, and when enough of them said yes;
//! - [`trust`]: how far a job is trusted, and who says so;
//! - [`note`], [`tlog`], [`witness`], [`proof`]: the audit log that nobody can rewrite, and what it proves offline;
//! - [`policy`]: what policy is asked, told and answers;
//! - [`port`]: what a component can ask for, as traits that the gateway implements;
//! - [`code`], [`id`], [`text`]: error codes, identifiers, and how text of strangers is shown.

pub mod approval;
pub mod authority;
pub mod binding;
pub mod budget;
pub mod change;
pub mod class;
pub mod code;
pub mod commitment;
pub mod compare;
pub mod decimal;
pub mod dsse;
pub mod gate;
pub mod id;
pub mod key;
pub mod kind;
pub mod level;
pub mod merkle;
pub mod note;
pub mod page;
pub mod people;
pub mod plan;
pub mod policy;
pub mod port;
pub mod proof;
pub mod recovery;
pub mod rollout;
pub mod run;
pub mod switch;
pub mod task;
pub mod text;
pub mod tlog;
pub mod trust;
pub mod undo;
pub mod value;
pub mod witness;
pub mod work;
