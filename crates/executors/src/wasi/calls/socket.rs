//! Sockets, of which there are none.

use super::Call;
use crate::wasi::abi::{Errno, Outcome};

/// Answers that the descriptor is not a socket, whatever else it is.
pub(super) fn refuse(call: &mut Call<'_>) -> Outcome {
    call.host.descriptors.get(call.u32(0))?;
    Err(Errno::NotSocket.into())
}
