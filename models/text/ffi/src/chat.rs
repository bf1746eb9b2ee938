//! Renders chat templates.

use crate::boundary::{read_contained, run, run_or, OwnedString, Slice};
use crate::chat_json::tojson;
use minijinja::value::merge_maps;
use minijinja::{Environment, Error, ErrorKind, Value};
use std::ffi::c_int;

const NAME: &str = "chat";
/// Instructions of one rendering, about a second. Published templates need a few hundred per
/// message; this stops nested loops from blocking a thread forever.
const FUEL: u64 = 2_000_000;

pub struct ChatTemplate {
    environment: Environment<'static>,
    variables: Value,
}

fn json_object(text: &str) -> Result<Value, String> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    match json.is_object() {
        true => Ok(Value::from_serialize(&json)),
        false => Err("not a JSON object".to_owned()),
    }
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// The body of a tag that opens or closes a generation block, and its replacement.
fn replacement_of(tag: &str) -> Option<&'static str> {
    match tag {
        "generation" => Some("with"),
        "endgeneration" => Some("endwith"),
        _ => None,
    }
}

/// Replaces `{% generation %}` and `{% endgeneration %}`, with which templates mark for training
/// what the assistant writes, by a block that only has a scope, which is what they are in a prompt.
fn without_generation_tags(source: &str) -> String {
    let mut result = String::with_capacity(source.len());
    let mut rest = source;

    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start + 2);
        result.push_str(before);
        rest = tag;

        let Some(end) = tag.find("%}") else { break };
        let body = tag[..end].trim_start_matches(['-', '+']);
        let body = body.trim_end_matches(['-', '+']).trim();
        if let Some(name) = replacement_of(body) {
            result.push_str(&tag[..end].replacen(body, name, 1));
            rest = &tag[end..];
        }
    }

    result.push_str(rest);
    result
}

impl ChatTemplate {
    fn new(source: &str, variables: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL));

        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_filter("tojson", tojson);

        environment
            .add_template_owned(NAME, without_generation_tags(source))
            .map_err(|error| describe(&error))?;

        Ok(ChatTemplate {
            environment,
            variables: json_object(variables)?,
        })
    }

    fn render(&self, context: &str) -> Result<String, String> {
        let context = merge_maps([json_object(context)?, self.variables.clone()]);
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(context))
            .map_err(|error| describe(&error))
    }
}

fn describe(error: &Error) -> String {
    match error.line() {
        Some(line) => format!("line {line}: {error}"),
        None => error.to_string(),
    }
}

#[no_mangle]
pub unsafe extern "C" fn palate_chat_template_new(
    source: Slice,
    variables: Slice,
    out: *mut *mut ChatTemplate,
    error: *mut OwnedString,
) -> c_int {
    run(out, error, || {
        let (source, variables) = (source.text()?, variables.text()?);
        read_contained(|| ChatTemplate::new(source, variables))
            .map(|template| Box::into_raw(Box::new(template)))
    })
}

#[no_mangle]
pub unsafe extern "C" fn palate_chat_template_free(template: *mut ChatTemplate) {
    if !template.is_null() {
        run_or((), || drop(Box::from_raw(template)));
    }
}

#[no_mangle]
pub unsafe extern "C" fn palate_chat_template_render(
    template: *const ChatTemplate,
    context: Slice,
    out: *mut OwnedString,
    error: *mut OwnedString,
) -> c_int {
    run(out, error, || {
        (*template).render(context.text()?).map(OwnedString::new)
    })
}
