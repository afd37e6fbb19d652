//! Words of other servers' configurations, each with what says the same here: for people who come from there.

/// What to write instead of another server's word.
pub fn instead(word: &str) -> Option<&'static str> {
    let hint = match word {
        "reverse_proxy" | "proxy_pass" => "the word here is `proxy`: `proxy 127.0.0.1:8000`",
        "redir" | "rewrite_to" => "the word here is `redirect`",
        "return" => "use `redirect TARGET CODE` or `respond CODE TEXT`",
        "handle" | "handle_path" | "route" | "location" => {
            "a path opens its braces by itself, without a word before it: `/api/* {`; the longest path wins"
        }
        "file_server" | "root" => "the word here is `files FOLDER`",
        "encode" | "gzip" => "the word here is `compress`",
        "header" | "add_header" | "header_down" => "the word here is `headers`: `headers set NAME VALUE`",
        "request_header" | "proxy_set_header" | "header_up" => {
            "the word here is `request-headers`; Host, X-Forwarded-For, -Proto, -Host and X-Real-IP are sent by themselves"
        }
        "basicauth" | "basic_auth" => "the word here is `auth basic { }`",
        "forward_auth" => "the word here is `auth forward URL`",
        "server_name" => "a site begins with its name: `example.com {`",
        "listen" => "a port belongs to the site's name, as in `example.com:8443 {`; addresses are set by `bind`",
        "port_in_redirect" | "absolute_redirect" => {
            "redirects name the port that clients use: write `public-https-port 443` where another port is listened on"
        }
        "server" => {
            "a site begins with its name, `example.com {`; a group of backends is `upstream NAME {` with lines `to TARGET`"
        }
        "ssl_certificate" | "ssl_certificate_key" => "write `tls CERT KEY`, or nothing: certificates come by themselves",
        "acme_ca" => "write `acme { directory URL }`",
        "client_max_body_size" | "request_body" => "the words here are `limit body SIZE`",
        "uri" => "the words here are `strip-prefix PATH` and `rewrite PATH`",
        "handle_errors" | "error_page" => "the word here is `errors FOLDER`",
        "proxy_read_timeout" | "proxy_connect_timeout" => {
            "the word here is `timeout`, inside `upstream NAME { }`; tunnels have `idle`"
        }
        "admin_off" => "write `admin off`",
        "ws" | "websocket" | "upgrade" => "WebSocket needs no word: an upgrade passes on every `proxy`",
        _ => return None,
    };
    Some(hint)
}
