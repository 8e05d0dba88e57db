//! Arguments, environment, clocks, randomness, and the end of the program.

use super::Call;
use crate::wasi::abi::{Errno, Outcome};
use crate::wasi::clock::{ClockId, RESOLUTION_NS};
use crate::wasi::content::byte_count;
use crate::wasi::inputs::Strings;
use crate::wasi::memory::Memory;
use crate::wasm::engine::{HostTrap, Meter};

pub(super) fn args_sizes_get(call: &mut Call<'_>) -> Outcome {
    let sizes = sizes_of(&call.host.arguments)?;
    write_sizes(call, sizes)
}

pub(super) fn args_get(call: &mut Call<'_>) -> Outcome {
    let (pointers, bytes) = (call.u32(0), call.u32(1));
    write_strings(&call.host.arguments, &mut call.memory, pointers, bytes, call.meter)
}

pub(super) fn environ_sizes_get(call: &mut Call<'_>) -> Outcome {
    let sizes = sizes_of(&call.host.environment)?;
    write_sizes(call, sizes)
}

pub(super) fn environ_get(call: &mut Call<'_>) -> Outcome {
    let (pointers, bytes) = (call.u32(0), call.u32(1));
    write_strings(&call.host.environment, &mut call.memory, pointers, bytes, call.meter)
}

/// Returns how many strings there are and how many bytes they take.
fn sizes_of(strings: &Strings) -> Result<[u32; 2], Errno> {
    let count = u32::try_from(strings.starts.len()).map_err(|_| Errno::Overflow)?;
    let bytes = u32::try_from(strings.bytes.len()).map_err(|_| Errno::Overflow)?;
    Ok([count, bytes])
}

fn write_sizes(call: &mut Call<'_>, [count, bytes]: [u32; 2]) -> Outcome {
    call.check_result(0, 4)?;
    call.memory.write_u32(call.u32(1), bytes)?;
    Ok(call.memory.write_u32(call.u32(0), count)?)
}

fn write_strings(
    strings: &Strings,
    memory: &mut Memory<'_>,
    pointers: u32,
    bytes: u32,
    meter: &mut Meter,
) -> Outcome {
    let pointer_bytes = u64::try_from(strings.starts.len()).unwrap_or(u64::MAX).saturating_mul(4);
    meter.charge_bytes(pointer_bytes.saturating_add(byte_count(&strings.bytes)))?;
    memory.range(pointers, pointer_bytes)?;
    memory.write(bytes, &strings.bytes)?;
    let table = memory.bytes_mut(pointers, pointer_bytes)?;
    for (slot, start) in table.as_chunks_mut::<4>().0.iter_mut().zip(&strings.starts) {
        *slot = bytes.wrapping_add(*start).to_le_bytes();
    }
    Ok(())
}

pub(super) fn clock_res_get(call: &mut Call<'_>) -> Outcome {
    ClockId::from_code(call.u32(0)).ok_or(Errno::Invalid)?;
    Ok(call.memory.write_u64(call.u32(1), RESOLUTION_NS)?)
}

pub(super) fn clock_time_get(call: &mut Call<'_>) -> Outcome {
    let clock = ClockId::from_code(call.u32(0)).ok_or(Errno::Invalid)?;
    let time = call.host.clock.read(clock, call.meter.fuel_left());
    Ok(call.memory.write_u64(call.u32(2), time)?)
}

pub(super) fn random_get(call: &mut Call<'_>) -> Outcome {
    let (pointer, length) = (call.u32(0), u64::from(call.u32(1)));
    call.memory.range(pointer, length)?;
    call.meter.charge_bytes(length)?;
    call.host.random.fill(call.memory.bytes_mut(pointer, length)?);
    Ok(())
}

pub(super) fn proc_exit(call: &mut Call<'_>) -> Outcome {
    Err(HostTrap::Exit(call.u32(0)).into())
}

/// A signal ends the program as a shell would report it, unless its default is to be ignored.
pub(super) fn proc_raise(call: &mut Call<'_>) -> Outcome {
    const NONE: u32 = 0;
    const CHILD: u32 = 16;
    const CONTINUE: u32 = 17;
    const URGENT: u32 = 22;
    const WINDOW_CHANGED: u32 = 27;
    const LAST: u32 = 30;
    match call.u32(0) {
        NONE | CHILD | CONTINUE | URGENT | WINDOW_CHANGED => Ok(()),
        signal @ ..=LAST => Err(HostTrap::Exit(128 + signal).into()),
        _ => Err(Errno::Invalid.into()),
    }
}

pub(super) fn sched_yield(_call: &mut Call<'_>) -> Outcome {
    Ok(())
}
