//! Conversions between C and Rust memory. Converts errors and panics to return codes.

use std::ffi::c_int;
use std::panic::{catch_unwind, AssertUnwindSafe};

pub const OK: c_int = 0;
const INVALID: c_int = 1;
const INTERNAL: c_int = 2;

/// Bytes that the caller lends.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    data: *const u8,
    size: usize,
}

impl Slice {
    /// # Safety
    /// `data` must point to `size` readable bytes for as long as the result is used.
    pub unsafe fn text<'a>(self) -> Result<&'a str, String> {
        std::str::from_utf8(slice_of(self.data, self.size))
            .map_err(|error| format!("text is not UTF-8 after byte {}", error.valid_up_to()))
    }
}

/// # Safety
/// `data` must point to `size` readable elements for as long as the result is used; it may be null
/// when `size` is 0.
pub unsafe fn slice_of<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if size == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, size)
    }
}

/// Bytes that are handed over to the caller.
#[repr(C)]
pub struct OwnedString {
    data: *mut u8,
    size: usize,
}

impl OwnedString {
    pub fn new(text: String) -> Self {
        let (data, size) = leak(text.into_bytes());
        OwnedString { data, size }
    }
}

/// Releases a vector's memory to the caller; `reclaim` takes it back.
pub fn leak<T>(values: Vec<T>) -> (*mut T, usize) {
    let boxed = values.into_boxed_slice();
    let size = boxed.len();
    (Box::into_raw(boxed).cast(), size)
}

/// # Safety
/// The arguments must come from one call of `leak`, or `data` must be null.
pub unsafe fn reclaim<T>(data: *mut T, size: usize) {
    if !data.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(
            data, size,
        )));
    }
}

/// Runs `body`; stores its value in `out`, or a message in `error`.
///
/// # Safety
/// `out` and `error` must be writable.
pub unsafe fn run<T>(
    out: *mut T,
    error: *mut OwnedString,
    body: impl FnOnce() -> Result<T, String>,
) -> c_int {
    let (code, message) = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => {
            out.write(value);
            return OK;
        }
        Ok(Err(message)) => (INVALID, message),
        Err(panic) => (INTERNAL, panic_message(panic.as_ref())),
    };

    error.write(OwnedString::new(message));
    code
}

/// Runs `body` for functions without an error to report: returns `otherwise` on a panic.
pub fn run_or<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// Runs a parser. The libraries panic on some malformed files instead of returning an error; the
/// caller gets an error in both cases.
pub fn read_contained<T>(body: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(body))
        .unwrap_or_else(|panic| Err(format!("malformed: {}", panic_message(panic.as_ref()))))
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(message) = panic.downcast_ref::<&str>() {
        (*message).to_owned()
    } else if let Some(message) = panic.downcast_ref::<String>() {
        message.clone()
    } else {
        "panic without a message".to_owned()
    }
}

#[no_mangle]
pub unsafe extern "C" fn palate_text_string_free(string: OwnedString) {
    reclaim(string.data, string.size);
}
