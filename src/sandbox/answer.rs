//! Answers as plain data.

use serde_json::Value;

/// An HTTP answer as plain data.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body: body.to_string() }
    }

    pub(super) fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    pub(super) fn html(status: u16) -> Self {
        let headers = vec![("content-type", "text/html".to_owned())];
        let body = format!("<html><body><h1>{status}</h1></body></html>");
        Self { status, headers, body }
    }

    /// To where a client that follows is noticed.
    pub(super) fn redirect(tenant: &str) -> Self {
        let headers = vec![("location", format!("/{tenant}/redirected"))];
        Self { status: 307, headers, body: String::new() }
    }

    pub(super) fn about_another_than(self, id: &str) -> Self {
        let Ok(mut body) = serde_json::from_str(&self.body) else { return self };
        rename(&mut body, id);
        Self { body: body.to_string(), ..self }
    }
}

/// Puts another id of the same kind wherever the id stands.
fn rename(value: &mut Value, id: &str) {
    match value {
        Value::String(text) if text == id => {
            let digit = |c: char| if c == '7' { '8' } else { '7' };
            *text = text.chars().map(|c| if c.is_ascii_digit() { digit(c) } else { c }).collect();
            if text == id {
                text.push('7');
            }
        }
        Value::Number(number) if number.to_string() == id => *value = Value::from(987_654_321),
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, id)),
        Value::Object(members) => members.values_mut().for_each(|member| rename(member, id)),
        _ => {}
    }
}
