//! Lines to paste into the configs of common MCP clients.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// How a client reaches the shop.
#[derive(Debug)]
pub(super) struct Access {
    /// The MCP endpoint.
    pub(super) url: String,
    /// For clients that start their servers themselves.
    pub(super) program: PathBuf,
    pub(super) config: PathBuf,
    /// Environment that the config needs: empty when everything is where it expects it.
    pub(super) environment: Vec<(String, String)>,
}

impl Access {
    /// Pairs of a client and what to paste.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let url = &self.url;
        vec![
            ("Claude Code", format!("claude mcp add --transport http shop {url}")),
            ("Claude Code, stdio", self.claude_code_stdio()),
            (
                "Claude Desktop, claude_desktop_config.json (stdio)",
                json!({ "mcpServers": { "shop": self.stdio() } }).to_string(),
            ),
            ("Cursor, ~/.cursor/mcp.json", json!({ "mcpServers": { "shop": { "url": url } } }).to_string()),
            ("Cursor, stdio", json!({ "mcpServers": { "shop": self.stdio() } }).to_string()),
            (
                "VS Code, .vscode/mcp.json",
                json!({ "servers": { "shop": { "type": "http", "url": url } } }).to_string(),
            ),
            ("VS Code, stdio", json!({ "servers": { "shop": self.typed_stdio() } }).to_string()),
            (
                "MCP Inspector",
                format!(
                    "npx @modelcontextprotocol/inspector --cli {url} --transport http --method tools/list"
                ),
            ),
        ]
    }

    fn arguments(&self) -> [String; 3] {
        ["serve".into(), self.config.display().to_string(), "--stdio".into()]
    }

    fn stdio(&self) -> Value {
        let mut entry = Map::new();
        entry.insert("command".into(), self.program.display().to_string().into());
        entry.insert("args".into(), self.arguments().to_vec().into());
        if !self.environment.is_empty() {
            let variables = self.environment.iter().map(|(name, value)| (name.clone(), value.clone().into()));
            entry.insert("env".into(), Value::Object(variables.collect()));
        }
        Value::Object(entry)
    }

    fn typed_stdio(&self) -> Value {
        let mut entry = self.stdio();
        entry["type"] = "stdio".into();
        entry
    }

    fn claude_code_stdio(&self) -> String {
        let mut line = "claude mcp add".to_owned();
        for (name, value) in &self.environment {
            line += &format!(" --env {}", quoted(&format!("{name}={value}")));
        }
        // `--env` takes every word up to the next option, so an option stands before the name.
        line += &format!(" --transport stdio shop -- {}", quoted(&self.program.display().to_string()));
        for argument in self.arguments() {
            line += &format!(" {}", quoted(&argument));
        }
        line
    }
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The path as other programs can use it, from any folder.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(environment: &[(&str, &str)]) -> Access {
        Access {
            url: "http://127.0.0.1:8383/mcp".into(),
            program: "/opt/my tools/renkei".into(),
            config: "/shop".into(),
            environment: environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        }
    }

    #[test]
    fn what_is_pasted_into_json_files_is_json() {
        for (client, text) in access(&[("A", "http://127.0.0.1:1")]).lines() {
            if text.starts_with('{') {
                let value: Value = serde_json::from_str(&text).unwrap();
                let servers = value.get("mcpServers").or(value.get("servers")).unwrap();
                let shop = &servers["shop"];
                assert!(
                    shop["url"].is_string() || shop["env"]["A"] == "http://127.0.0.1:1",
                    "{client}: {text}"
                );
            }
        }
    }

    #[test]
    fn what_is_pasted_into_a_shell_is_quoted() {
        assert_eq!(
            access(&[("A", "x y")]).claude_code_stdio(),
            "claude mcp add --env 'A=x y' --transport stdio shop -- '/opt/my tools/renkei' serve /shop --stdio"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
