//! What can be asked of the server's state: each operation is one transaction, a synchronous function of a
//! [`Transaction`](crate::database::Transaction) that asks the policy in `queue` and keeps what it says.

pub(crate) mod agent;
pub(crate) mod artifact;
pub(crate) mod assign;
pub(crate) mod attempt;
pub(crate) mod cache;
pub(crate) mod control;
pub(crate) mod events;
pub(crate) mod expiry;
pub(crate) mod flow;
mod lane;
pub(crate) mod leaves;
mod loaded;
pub(crate) mod loss;
pub(crate) mod remains;
pub(crate) mod room;
mod row;
pub(crate) mod secret;
pub(crate) mod storage;
pub(crate) mod stream;
pub(crate) mod submit;
pub(crate) mod token;
pub(crate) mod trace;
pub(crate) mod view;
