//! Encodes and decodes with a tokenizer.json.

use crate::boundary::{leak, read_contained, reclaim, run, run_or, slice_of, OwnedString, Slice};
use std::ffi::c_int;
use std::sync::OnceLock;
use tokenizers::{AddedToken, PostProcessor, Tokenizer, TruncationDirection};

/// The object behind a tokenizer handle.
pub struct Handle {
    tokenizer: Tokenizer,
    /// The same tokenizer, but encoding special tokens in a text as ordinary characters. That is a
    /// setting of the whole tokenizer, so this copy is created when it is first needed.
    literal: OnceLock<Tokenizer>,
}

impl Handle {
    fn reading(&self, parse_special_tokens: bool) -> &Tokenizer {
        if parse_special_tokens {
            return &self.tokenizer;
        }
        self.literal.get_or_init(|| {
            let mut literal = self.tokenizer.clone();
            literal.set_encode_special_tokens(true);
            literal
        })
    }
}

#[repr(C)]
pub struct Encodings {
    ids: *mut u32,
    num_ids: usize,
    offsets: *mut usize,
    truncated: *mut usize,
    num_texts: usize,
}

fn load(json: &str, added_tokens: &str) -> Result<Handle, String> {
    let mut tokenizer: Tokenizer = json.parse().map_err(|error| format!("{error}"))?;
    let added: Vec<AddedToken> =
        serde_json::from_str(added_tokens).map_err(|error| format!("added tokens: {error}"))?;
    if !added.is_empty() {
        tokenizer.add_tokens(&added);
    }
    // Callers set truncation and padding; the stored settings belong to an earlier use.
    tokenizer
        .with_truncation(None)
        .map_err(|error| error.to_string())?
        .with_padding(None);
    Ok(Handle {
        tokenizer,
        literal: OnceLock::new(),
    })
}

fn added_tokens(tokenizer: &Tokenizer) -> usize {
    tokenizer
        .get_post_processor()
        .map_or(0, |processor| processor.added_tokens(false))
}

/// The ids of `text` and the number of ids that the limit cut off. `max_tokens` 0 means no limit.
fn encode_one(
    tokenizer: &Tokenizer,
    text: &str,
    add_special: bool,
    max_tokens: usize,
) -> Result<(Vec<u32>, usize), String> {
    let encoding = tokenizer
        .encode_fast(text, add_special)
        .map_err(|error| error.to_string())?;

    if max_tokens == 0 || encoding.len() <= max_tokens {
        return Ok((encoding.get_ids().to_vec(), 0));
    }

    let excess = encoding.len() - max_tokens;
    if !add_special {
        return Ok((encoding.get_ids()[..max_tokens].to_vec(), excess));
    }

    let reserved = added_tokens(tokenizer);
    if reserved > max_tokens {
        return Err(format!(
            "a limit of {max_tokens} tokens has no room for {reserved} special tokens"
        ));
    }

    // Truncate before the special tokens are added, as the reference does.
    let mut plain = tokenizer
        .encode_fast(text, false)
        .map_err(|error| error.to_string())?;
    plain.truncate(max_tokens - reserved, 0, TruncationDirection::Right);

    let processed = tokenizer
        .post_process(plain, None, true)
        .map_err(|error| error.to_string())?;
    Ok((processed.get_ids().to_vec(), excess))
}

fn encode(
    tokenizer: &Tokenizer,
    texts: &[Slice],
    add_special: bool,
    max_tokens: usize,
) -> Result<Encodings, String> {
    let mut all_ids = Vec::new();
    let mut offsets = vec![0];
    let mut truncated = Vec::with_capacity(texts.len());

    for (index, slice) in texts.iter().enumerate() {
        // SAFETY: the caller guarantees that the slices are readable.
        let (ids, cut) = unsafe { slice.text() }
            .and_then(|text| encode_one(tokenizer, text, add_special, max_tokens))
            .map_err(|error| match texts.len() {
                1 => error,
                _ => format!("text {index}: {error}"),
            })?;
        all_ids.extend_from_slice(&ids);
        offsets.push(all_ids.len());
        truncated.push(cut);
    }

    let (ids, num_ids) = leak(all_ids);
    let (offsets, _) = leak(offsets);
    let (truncated, num_texts) = leak(truncated);

    Ok(Encodings {
        ids,
        num_ids,
        offsets,
        truncated,
        num_texts,
    })
}

#[no_mangle]
pub unsafe extern "C" fn palate_text_encodings_free(encodings: Encodings) {
    reclaim(encodings.ids, encodings.num_ids);
    reclaim(encodings.offsets, encodings.num_texts + 1);
    reclaim(encodings.truncated, encodings.num_texts);
}

#[no_mangle]
pub unsafe extern "C" fn palate_tokenizer_new(
    json: Slice,
    added_tokens: Slice,
    out: *mut *mut Handle,
    error: *mut OwnedString,
) -> c_int {
    run(out, error, || {
        let (text, added) = (json.text()?, added_tokens.text()?);
        read_contained(|| load(text, added)).map(|handle| Box::into_raw(Box::new(handle)))
    })
}

#[no_mangle]
pub unsafe extern "C" fn palate_tokenizer_free(tokenizer: *mut Handle) {
    if !tokenizer.is_null() {
        run_or((), || drop(Box::from_raw(tokenizer)));
    }
}

#[no_mangle]
pub unsafe extern "C" fn palate_tokenizer_encode(
    tokenizer: *const Handle,
    texts: *const Slice,
    num_texts: usize,
    add_special_tokens: c_int,
    parse_special_tokens: c_int,
    max_tokens: usize,
    out: *mut Encodings,
    error: *mut OwnedString,
) -> c_int {
    run(out, error, || {
        encode(
            (*tokenizer).reading(parse_special_tokens != 0),
            slice_of(texts, num_texts),
            add_special_tokens != 0,
            max_tokens,
        )
    })
}

#[no_mangle]
pub unsafe extern "C" fn palate_tokenizer_decode(
    tokenizer: *const Handle,
    ids: *const u32,
    num_ids: usize,
    skip_special_tokens: c_int,
    out: *mut OwnedString,
    error: *mut OwnedString,
) -> c_int {
    run(out, error, || {
        (*tokenizer)
            .tokenizer
            .decode(slice_of(ids, num_ids), skip_special_tokens != 0)
            .map(OwnedString::new)
            .map_err(|error| error.to_string())
    })
}

#[no_mangle]
pub unsafe extern "C" fn palate_tokenizer_token_to_id(
    tokenizer: *const Handle,
    token: Slice,
) -> i64 {
    run_or(-1, || match token.text() {
        Ok(text) => (*tokenizer)
            .tokenizer
            .token_to_id(text)
            .map_or(-1, i64::from),
        Err(_) => -1,
    })
}

#[no_mangle]
pub unsafe extern "C" fn palate_tokenizer_id_to_token(
    tokenizer: *const Handle,
    id: u32,
    out: *mut OwnedString,
) -> c_int {
    run_or(0, || match (*tokenizer).tokenizer.id_to_token(id) {
        Some(token) => {
            out.write(OwnedString::new(token));
            1
        }
        None => 0,
    })
}

#[no_mangle]
pub unsafe extern "C" fn palate_tokenizer_vocab_size(tokenizer: *const Handle) -> usize {
    run_or(0, || (*tokenizer).tokenizer.get_vocab_size(true))
}

#[no_mangle]
pub unsafe extern "C" fn palate_tokenizer_special_tokens_per_text(
    tokenizer: *const Handle,
) -> usize {
    run_or(0, || added_tokens(&(*tokenizer).tokenizer))
}
