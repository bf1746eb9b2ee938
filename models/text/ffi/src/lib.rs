//! The C ABI declared in palate_text.h. Each exported function converts its arguments, calls safe
//! code of `tokenizer`, `chat` or `train`, and converts the result; `boundary::run` catches panics.

mod boundary;
mod chat;
mod chat_json;
mod tokenizer;
mod train;
