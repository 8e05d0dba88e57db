//! The page for people: what the network claims, what was verified, what earns.
//!
//! It is whole without scripts. A small script fetches it anew when something happened.

use std::fmt::{self, Display, Write as _};

use api::SupplyView;
use types::{Amount, Header, Lease, Provider, Tally, text::to_hex};

/// What the page shows.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) network: &'a str,
    pub(crate) height: u64,
    pub(crate) supply: SupplyView,
    /// The last blocks, newest first, each with its count of transactions.
    pub(crate) blocks: Vec<(Header, u32)>,
    /// Leases that are not closed, newest first.
    pub(crate) leases: Vec<Lease>,
    pub(crate) providers: Vec<Provider>,
}

const STYLE: &str = "
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1rem; margin: 2rem 0 .3rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid #8884 }
th:first-child, td:first-child { text-align: left }
code { font-size: .85em } .quiet { opacity: .65 }
";

const SCRIPT: &str = "
let waiting = false;
async function refresh() {
  if (waiting || document.hidden) return;
  waiting = true;
  try {
    const answer = await fetch('/', { cache: 'no-store' });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      document.querySelector('main').replaceWith(page.querySelector('main'));
    }
  } catch (error) { /* the node is away; the next try will tell */ }
  setTimeout(() => { waiting = false }, 1000);
}
setInterval(refresh, 2000);
";

/// Returns a value that a page is marked with once.
pub(crate) fn nonce() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(to_hex(&bytes))
}

/// Returns the policy that lets the page's own style and script run, and nothing else.
pub(crate) fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// Text whose characters mean nothing in HTML.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.to_string().chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A table that is written row by row, every cell escaped.
struct Table {
    html: String,
}

impl Table {
    fn new(title: &str, columns: &[&str]) -> Self {
        let mut table = Self { html: format!("<h2>{}</h2><table><tr>", Escaped(title)) };
        for column in columns {
            table.put(format_args!("<th>{}</th>", Escaped(column)));
        }
        table.put(format_args!("</tr>"));
        table
    }

    fn row(&mut self, cells: &[&dyn Display]) {
        self.put(format_args!("<tr>"));
        for cell in cells {
            self.put(format_args!("<td>{}</td>", Escaped(cell)));
        }
        self.put(format_args!("</tr>"));
    }

    fn put(&mut self, arguments: fmt::Arguments<'_>) {
        self.html.write_fmt(arguments).expect("text takes all");
    }

    fn finish(self) -> String {
        self.html + "</table>"
    }
}

/// Returns the page.
pub(crate) fn render(view: &View<'_>, nonce: &str) -> String {
    let network = Escaped(view.network);
    let SupplyView { epoch, .. } = view.supply;
    let tables = [supply(&view.supply), leases(view), blocks(view), providers(view)].concat();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{network} · Idlewild</title><style nonce=\"{nonce}\">{STYLE}</style></head>\
         <body><main><h1>{network}</h1>\
         <p class=\"quiet\">Block {height}, epoch {epoch}. A claim earns nothing: what counts is \
         what was verified, and what tenants paid for.</p>{tables}</main>\
         <script nonce=\"{nonce}\">{SCRIPT}</script></body></html>",
        height = view.height,
    )
}

fn supply(supply: &SupplyView) -> String {
    let columns = [
        "class",
        "epoch",
        "claimed",
        "verified",
        "earning",
        "revenue USD",
        "burn USD",
        "reward WILD",
    ];
    let mut table = Table::new("Supply and income", &columns);
    for class in &supply.classes {
        let name = format!("{} ({})", class.name, class.unit);
        let mut row = |epoch: &str, tally: &Tally| {
            let [revenue, burn, reward] =
                [tally.income.revenue, tally.income.burn, tally.income.reward].map(money);
            let [claimed, verified, earning] =
                [tally.supply.claimed, tally.supply.verified, tally.supply.earning]
                    .map(types::Units::get);
            let cells: [&dyn Display; 8] =
                [&name, &epoch, &claimed, &verified, &earning, &revenue, &burn, &reward];
            table.row(&cells);
        };
        row("now", &class.running);
        if let Some(past) = &class.past {
            row("last", past);
        }
    }
    table.finish()
}

fn money(amount: Amount) -> String {
    amount.to_string()
}

fn leases(view: &View<'_>) -> String {
    let columns = ["lease", "state", "tenant", "provider", "escrow USD"];
    let mut table = Table::new("Running leases", &columns);
    for lease in &view.leases {
        let (tenant, provider) = (short(&lease.tenant), short(&lease.provider));
        table.row(&[&short(&lease.id), &lease.state.name(), &tenant, &provider, &lease.escrow]);
    }
    table.finish()
}

fn blocks(view: &View<'_>) -> String {
    let mut table = Table::new("Last blocks", &["block", "transactions", "root"]);
    for (header, transactions) in &view.blocks {
        table.row(&[&header.height, transactions, &short(&header.state)]);
    }
    table.finish()
}

fn providers(view: &View<'_>) -> String {
    let mut table = Table::new("Providers", &["provider", "offers", "leases"]);
    for provider in &view.providers {
        table.row(&[&short(&provider.address), &provider.offers, &provider.leases]);
    }
    table.finish()
}

/// Returns the beginning of an identifier.
fn short(id: &impl Display) -> String {
    let text = id.to_string();
    format!("{}…", text.chars().take(14).collect::<String>())
}

#[cfg(test)]
mod tests {
    use api::ClassSupply;
    use types::{ClassId, Income, Supply, Time, Units};

    use super::*;

    fn view(network: &str) -> View<'_> {
        let units = |count| Units::new(count).unwrap();
        let (class, name, unit) = (ClassId(1), "job".to_owned(), "Mfuel".to_owned());
        let supply = Supply { claimed: units(300), verified: units(20), earning: units(1) };
        let running = Tally { epoch: 2, class, supply, income: Income::default() };
        let classes =
            vec![ClassSupply { class, name, unit, running, past: None, auditor_seats: 2 }];
        let supply = SupplyView { epoch: 2, epoch_began: Time::from_ms(0), classes };
        let (blocks, leases, providers) = (vec![], vec![], vec![]);
        View { network, height: 5, supply, blocks, leases, providers }
    }

    #[test]
    fn the_three_numbers_stand_side_by_side() {
        let page = render(&view("home"), "n");
        assert!(page.contains("<td>300</td><td>20</td><td>1</td>"), "{page}");
    }

    #[test]
    fn what_comes_from_outside_is_text() {
        let page = render(&view("<script>alert('&')</script>"), "n");
        assert!(!page.contains("<script>alert"));
        assert!(page.contains("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;"));
    }
}
