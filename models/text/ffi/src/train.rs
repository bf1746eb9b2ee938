//! Trains a byte-level BPE vocabulary.

use crate::boundary::{run, slice_of, OwnedString, Slice};
use std::ffi::c_int;
use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::bpe::{BpeTrainerBuilder, BPE};
use tokenizers::models::TrainerWrapper;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

/// The split expression of Qwen2 and Qwen3: contractions, words with one leading sign, single
/// digits, runs of signs, line ends, and spaces.
const SPLIT: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    r"|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+",
    r"|\s+(?!\S)|\s+"
);
const BYTES: usize = 256;

fn untrained() -> Result<Tokenizer, String> {
    let split = Split::new(
        SplitPattern::Regex(SPLIT.to_owned()),
        SplitDelimiterBehavior::Isolated,
        false,
    )
    .map_err(|error| error.to_string())?;
    let bytes = ByteLevel::new(false, false, false);

    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer
        .with_normalizer(Some(NFC))
        .with_pre_tokenizer(Some(Sequence::new(vec![
            PreTokenizerWrapper::Split(split),
            PreTokenizerWrapper::ByteLevel(bytes),
        ])))
        .with_post_processor(Some(bytes))
        .with_decoder(Some(ByteLevelDecoder::new(false, false, false)));
    Ok(tokenizer)
}

fn train(
    texts: &[&str],
    special_tokens: &[&str],
    vocab_size: usize,
    min_frequency: u64,
) -> Result<String, String> {
    let needed = BYTES + special_tokens.len();
    if vocab_size < needed {
        return Err(format!(
            "a vocabulary of {vocab_size} has no room for {BYTES} bytes and {} special tokens",
            special_tokens.len()
        ));
    }

    let mut tokenizer = untrained()?;

    let mut trainer: TrainerWrapper = BpeTrainerBuilder::new()
        .vocab_size(vocab_size - special_tokens.len())
        .min_frequency(min_frequency)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build()
        .into();

    tokenizer
        .train(&mut trainer, texts.iter())
        .map_err(|error| error.to_string())?;

    let added: Vec<AddedToken> = special_tokens
        .iter()
        .map(|token| AddedToken::from(*token, true).normalized(false))
        .collect();
    tokenizer.add_special_tokens(&added);

    tokenizer
        .to_string(false)
        .map_err(|error| error.to_string())
}

unsafe fn texts_of<'a>(slices: *const Slice, count: usize) -> Result<Vec<&'a str>, String> {
    slice_of(slices, count)
        .iter()
        .enumerate()
        .map(|(index, slice)| {
            slice
                .text()
                .map_err(|error| format!("text {index}: {error}"))
        })
        .collect()
}

#[no_mangle]
pub unsafe extern "C" fn palate_tokenizer_train_bpe(
    texts: *const Slice,
    num_texts: usize,
    special_tokens: *const Slice,
    num_special_tokens: usize,
    vocab_size: usize,
    min_frequency: u64,
    out: *mut OwnedString,
    error: *mut OwnedString,
) -> c_int {
    run(out, error, || {
        let texts = texts_of(texts, num_texts)?;
        let special_tokens = texts_of(special_tokens, num_special_tokens)?;
        train(&texts, &special_tokens, vocab_size, min_frequency).map(OwnedString::new)
    })
}
