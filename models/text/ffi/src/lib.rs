//! The C ABI declared in palate_text.h. Each exported function converts its arguments, runs safe code of `tokenizer` or `chat`, and
//! converts the result; panics stop at `boundary::run`.

mod boundary;
mod chat;
mod chat_json;
mod tokenizer;
mod train;
