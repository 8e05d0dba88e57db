//! Questions to the history.

use api::{EventId, EventRecord, LeaseFilter, ProofView};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter, types::Value};
use types::{
    Address, Audit, Certificate, CertifiedHeader, ClassId, Decode, Dispute, Hash, Header, Lease,
    LeaseId, List, Order, OrderId, SignedReceipt, SignedTransaction, Tally, Time, TransactionId,
    body, certificate::LATER_HEADERS_MAX,
};

use super::{IndexError, write::LeaseRows};

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The block.
    pub height: u64,
    /// The place in the block, from 0.
    pub position: u32,
}

/// Whose leases to list.
#[derive(Debug, Clone, Copy)]
pub enum LeaseSide {
    /// Everybody's.
    All,
    /// Those that this account pays for.
    Tenant(Address),
    /// Those that this account serves.
    Provider(Address),
}

/// A lease as the history knows it.
#[derive(Debug, Clone)]
pub struct IndexedLease {
    /// The record after the last block that changed it.
    pub lease: Lease,
    /// Where its start stands.
    pub start: Option<Place>,
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// Only what concerns this account.
    pub account: Option<Address>,
    /// Only what concerns this lease.
    pub lease: Option<LeaseId>,
    /// Only events of this name.
    pub kind: Option<String>,
}

/// Asks the history over one connection.
#[derive(Debug)]
pub struct Reader<'a> {
    store: &'a Connection,
}

type Result<T> = std::result::Result<T, IndexError>;

fn decoded<T: Decode>(row: &Row<'_>, column: usize) -> Result<T> {
    Ok(T::from_bytes(&row.get::<_, Vec<u8>>(column)?)?)
}

fn optional(column: Option<u64>) -> u64 {
    // SQLite's integers have a sign.
    column.unwrap_or(u64::MAX).min(i64::MAX.unsigned_abs())
}

fn events(row: &Row<'_>) -> Result<EventRecord> {
    let id = EventId { height: row.get(0)?, index: row.get(1)? };
    let time = Time::from_ms(row.get(2)?);
    Ok(EventRecord { id, time, event: decoded(row, 3)? })
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(store: &'a Connection) -> Self {
        Self { store }
    }

    fn list<T>(
        &self,
        query: &str,
        parameters: Vec<Value>,
        record: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.store.prepare_cached(query)?;
        let rows = statement.query_and_then(params_from_iter(parameters), record)?;
        rows.collect()
    }

    fn one<T>(
        &self,
        query: &str,
        parameters: Vec<Value>,
        record: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.list(query, parameters, record)?.into_iter().next())
    }

    /// Returns the header of a block and how many transactions it holds.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn header(&self, height: u64) -> Result<Option<Header>> {
        let query = "SELECT header FROM blocks WHERE height = ?1";
        self.one(query, vec![number(height)], |row| decoded(row, 0))
    }

    /// Returns a block's header with what shows that it is final.
    ///
    /// # Errors
    /// [`IndexError`], also while the signatures are not there.
    pub fn certified(&self, height: u64) -> Result<CertifiedHeader> {
        let query = "SELECT header, certificate FROM blocks WHERE height >= ?1
            ORDER BY height LIMIT ?2";
        let parameters = vec![number(height), size(LATER_HEADERS_MAX + 1)];
        let row = |row: &rusqlite::Row<'_>| {
            let certificate: Option<Vec<u8>> = row.get(1)?;
            let certificate =
                certificate.map(|bytes| Certificate::from_bytes(&bytes)).transpose()?;
            Ok((decoded::<Header>(row, 0)?, certificate))
        };
        let mut headers = Vec::new();
        for (header, certificate) in self.list(query, parameters, row)? {
            headers.push(header);
            let Some(certificate) = certificate else { continue };
            let later = headers.split_off(1);
            let later = List::new(later)?;
            return Ok(CertifiedHeader { header: headers[0], later, certificate });
        }
        Err(IndexError::Uncertified(height))
    }

    /// Returns the leaves of a block's body, in order.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) fn leaves(&self, height: u64) -> Result<Vec<Hash>> {
        let query = "SELECT signed FROM transactions WHERE height = ?1 ORDER BY position";
        self.list(query, vec![number(height)], |row| {
            let signed: Vec<u8> = row.get(0)?;
            Ok(body::leaf(&signed))
        })
    }

    /// Returns headers below a height, newest first, each with its count of transactions.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn headers(&self, before: Option<u64>, limit: usize) -> Result<Vec<(Header, u32)>> {
        let query = "SELECT header, transactions FROM blocks WHERE height < ?1
            ORDER BY height DESC LIMIT ?2";
        let parameters = vec![number(optional(before)), size(limit)];
        self.list(query, parameters, |row| Ok((decoded(row, 0)?, row.get(1)?)))
    }

    /// Returns name, signer and action of a block's transactions, in order.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn summaries(&self, height: u64) -> Result<Vec<api::TransactionSummary>> {
        let query =
            "SELECT id, signer, action FROM transactions WHERE height = ?1 ORDER BY position";
        self.list(query, vec![number(height)], |row| {
            let (id, signer) = (decoded(row, 0)?, decoded(row, 1)?);
            Ok(api::TransactionSummary { id, signer, action: row.get(2)? })
        })
    }

    /// Returns where a transaction stands.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn place(&self, id: TransactionId) -> Result<Option<Place>> {
        let query = "SELECT height, position FROM transactions WHERE id = ?1";
        self.one(query, vec![blob(id.as_bytes())], |row| {
            Ok(Place { height: row.get(0)?, position: row.get(1)? })
        })
    }

    /// Returns the transaction that stands there.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn transaction(&self, place: Place) -> Result<Option<SignedTransaction>> {
        let query = "SELECT signed FROM transactions WHERE height = ?1 AND position = ?2";
        let parameters = vec![number(place.height), number(place.position.into())];
        self.one(query, parameters, |row| decoded(row, 0))
    }

    /// Returns all events of a block.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn events_of_block(&self, height: u64) -> Result<Vec<EventRecord>> {
        let query = "SELECT e.height, e.position, b.time, e.event
            FROM events e JOIN blocks b USING (height) WHERE e.height = ?1 ORDER BY e.position";
        self.list(query, vec![number(height)], events)
    }

    /// Returns events after a place and not above a height, oldest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn events_after(
        &self,
        query: &EventQuery,
        after: EventId,
        up_to: u64,
        limit: usize,
    ) -> Result<Vec<EventRecord>> {
        let mut parameters =
            vec![number(after.height), number(after.index.into()), number(up_to), size(limit)];
        let mut filters = String::new();
        let (source, k) = source(query, &mut parameters, &mut filters);
        let sql = format!(
            "SELECT e.height, e.position, b.time, e.event FROM {source}
            JOIN blocks b ON b.height = e.height
            WHERE ({k}.height, {k}.position) > (?1, ?2) AND {k}.height <= ?3 {filters}
            ORDER BY {k}.height, {k}.position LIMIT ?4"
        );
        self.list(&sql, parameters, events)
    }

    /// Returns events of an account before a place, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn events_before(
        &self,
        account: Address,
        before: Option<EventId>,
        limit: usize,
    ) -> Result<Vec<EventRecord>> {
        let before = before.unwrap_or(EventId { height: u64::MAX, index: 0 });
        let query = "SELECT e.height, e.position, b.time, e.event FROM event_accounts k
            JOIN events e ON e.height = k.height AND e.position = k.position
            JOIN blocks b ON b.height = e.height
            WHERE k.account = ?1 AND (k.height, k.position) < (?2, ?3)
            ORDER BY k.height DESC, k.position DESC LIMIT ?4";
        let parameters = vec![
            blob(account.as_bytes()),
            number(optional(Some(before.height))),
            number(before.index.into()),
            size(limit),
        ];
        self.list(query, parameters, events)
    }

    /// Returns a tenant's orders before one of them, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn orders(
        &self,
        tenant: Address,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<Order>> {
        let before = match before {
            Some(id) => self.number_of("orders", id.as_bytes())?,
            None => i64::MAX,
        };
        let query = "SELECT record FROM orders WHERE tenant = ?1 AND number < ?2
            ORDER BY number DESC LIMIT ?3";
        let parameters = vec![blob(tenant.as_bytes()), Value::Integer(before), size(limit)];
        self.list(query, parameters, |row| decoded(row, 0))
    }

    /// Returns an order and where it was placed.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn order(&self, id: OrderId) -> Result<Option<(Order, Place)>> {
        let query = "SELECT record, height, position FROM orders WHERE id = ?1";
        self.one(query, vec![blob(id.as_bytes())], |row| {
            Ok((decoded(row, 0)?, Place { height: row.get(1)?, position: row.get(2)? }))
        })
    }

    /// Returns leases before one of them, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn leases(
        &self,
        side: LeaseSide,
        state: Option<LeaseFilter>,
        before: Option<LeaseId>,
        limit: usize,
    ) -> Result<Vec<Lease>> {
        let before = match before {
            Some(id) => self.number_of("leases", id.as_bytes())?,
            None => i64::MAX,
        };
        let mut parameters = vec![Value::Integer(before), size(limit)];
        let (of_side, index) = match side {
            LeaseSide::All => ("", "leases_open"),
            LeaseSide::Tenant(address) => {
                parameters.push(blob(address.as_bytes()));
                ("AND tenant = ?3", "leases_open_of_tenant")
            }
            LeaseSide::Provider(address) => {
                parameters.push(blob(address.as_bytes()));
                ("AND provider = ?3", "leases_open_of_provider")
            }
        };
        // Of all leases that ever were, few are open: those are found by an index of their own.
        // The names are constants of this program.
        let (source, in_state) = match state {
            None => (String::new(), String::new()),
            Some(LeaseFilter::Closed) => (String::new(), "AND state = 'closed'".to_owned()),
            Some(LeaseFilter::Open) => {
                (format!("INDEXED BY {index}"), "AND state <> 'closed'".to_owned())
            }
            Some(state) => {
                let in_state = format!("AND state <> 'closed' AND state = '{}'", state.name());
                (format!("INDEXED BY {index}"), in_state)
            }
        };
        let query = format!(
            "SELECT record FROM leases {source} WHERE number < ?1 {of_side} {in_state}
            ORDER BY number DESC LIMIT ?2"
        );
        self.list(&query, parameters, |row| decoded(row, 0))
    }

    /// Returns a lease.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn lease(&self, id: LeaseId) -> Result<Option<IndexedLease>> {
        let query = "SELECT record, start_height, start_position FROM leases WHERE id = ?1";
        self.one(query, vec![blob(id.as_bytes())], |row| {
            let (height, position): (Option<u64>, Option<u32>) = (row.get(1)?, row.get(2)?);
            let start = height.zip(position).map(|(height, position)| Place { height, position });
            Ok(IndexedLease { lease: decoded(row, 0)?, start })
        })
    }

    /// Returns a lease's receipts in their sequence, and where they were handed in.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn receipts(&self, lease: LeaseId) -> Result<Vec<(SignedReceipt, Place)>> {
        let query = "SELECT record, height, position FROM receipts WHERE lease = ?1
            ORDER BY sequence";
        self.list(query, vec![blob(lease.as_bytes())], |row| {
            Ok((decoded(row, 0)?, Place { height: row.get(1)?, position: row.get(2)? }))
        })
    }

    /// Returns the audit of a lease.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn audit(&self, lease: LeaseId) -> Result<Option<Audit>> {
        let query = "SELECT record FROM audits WHERE lease = ?1";
        self.one(query, vec![blob(lease.as_bytes())], |row| decoded(row, 0))
    }

    /// Returns the dispute over a lease.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn dispute(&self, lease: LeaseId) -> Result<Option<Dispute>> {
        let query = "SELECT record FROM disputes WHERE lease = ?1";
        self.one(query, vec![blob(lease.as_bytes())], |row| decoded(row, 0))
    }

    /// Returns leases that were drawn for an audit, before one of them, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn audited(&self, before: Option<LeaseId>, limit: usize) -> Result<Vec<LeaseId>> {
        self.leases_in("audits", before, limit)
    }

    /// Returns leases over which there was a dispute, before one of them, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn disputed(&self, before: Option<LeaseId>, limit: usize) -> Result<Vec<LeaseId>> {
        self.leases_in("disputes", before, limit)
    }

    /// Returns the leases of a table before one of them, newest first; none before one that is
    /// not in it.
    fn leases_in(
        &self,
        table: &'static str,
        before: Option<LeaseId>,
        limit: usize,
    ) -> Result<Vec<LeaseId>> {
        let query = format!(
            "SELECT lease FROM {table} WHERE number < CASE WHEN ?1 IS NULL THEN ?2
                ELSE coalesce((SELECT number FROM {table} WHERE lease = ?1), 0) END
            ORDER BY number DESC LIMIT ?3"
        );
        let before = before.map_or(Value::Null, |lease| blob(lease.as_bytes()));
        let parameters = vec![before, Value::Integer(i64::MAX), size(limit)];
        self.list(&query, parameters, |row| decoded(row, 0))
    }

    /// Returns the rows of a lease that left the state, with the height of the block after which
    /// they were in it.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) fn archived(&self, lease: LeaseId) -> Result<Option<(u64, LeaseRows)>> {
        let query = "SELECT height, rows FROM archive WHERE lease = ?1";
        self.one(query, vec![blob(lease.as_bytes())], |row| {
            let rows: String = row.get(1)?;
            let rows = serde_json::from_str(&rows)
                .map_err(|_| types::DecodeError::Invalid("archived lease"))?;
            Ok((row.get(0)?, rows))
        })
    }

    /// Returns the parameters in force in the block of this time, if it closed a lease.
    ///
    /// # Errors
    /// [`IndexError`].
    pub(crate) fn parameters_at(&self, time: Time) -> Result<Vec<ProofView>> {
        let query = "SELECT shown FROM parameters WHERE time = ?1";
        let shown = self.one(query, vec![number(time.as_ms())], |row| {
            let shown: String = row.get(0)?;
            Ok(serde_json::from_str::<Vec<(u64, api::Row)>>(&shown)
                .map_err(|_| types::DecodeError::Invalid("parameters"))?)
        })?;
        let view = |(height, row)| Ok(ProofView { header: self.certified(height)?, row });
        shown.unwrap_or_default().into_iter().map(view).collect()
    }

    /// Returns a class's closed epochs below a number, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn tallies(&self, class: ClassId, before: Option<u64>, limit: usize) -> Result<Vec<Tally>> {
        let query = "SELECT record FROM tallies WHERE class = ?1 AND epoch < ?2
            ORDER BY epoch DESC LIMIT ?3";
        let parameters = vec![number(class.0.into()), number(optional(before)), size(limit)];
        self.list(query, parameters, |row| decoded(row, 0))
    }

    /// Returns how often `issuer` issued since a time, in all and to one account.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn issued_since(&self, issuer: Address, to: Address, since: Time) -> Result<(u32, u32)> {
        // Walks what was issued since then and nothing else, however much happened to the account.
        let query = "SELECT count(*), count(k.account)
            FROM events e INDEXED BY events_issued
            CROSS JOIN event_accounts i
                ON i.account = ?1 AND i.height = e.height AND i.position = e.position
            LEFT JOIN event_accounts k
                ON k.account = ?2 AND k.height = e.height AND k.position = e.position
            WHERE e.kind = 'issued'
                AND e.height >= (SELECT height FROM blocks WHERE time > ?3 ORDER BY time LIMIT 1)";
        let since = number(optional(Some(since.as_ms())));
        let parameters = vec![blob(issuer.as_bytes()), blob(to.as_bytes()), since];
        let counts = self.one(query, parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(counts.unwrap_or_default())
    }

    /// Returns the number under which a record of a table stands; 0, before all, if it does not.
    fn number_of(&self, table: &'static str, id: &[u8; 32]) -> Result<i64> {
        let query = format!("SELECT number FROM {table} WHERE id = ?1");
        let mut statement = self.store.prepare_cached(&query)?;
        Ok(statement.query_row([id], |row| row.get(0)).optional()?.unwrap_or(0))
    }
}

/// Returns which tables an event query walks, with `e` for the events, and the name of the one
/// whose order it follows.
fn source(
    query: &EventQuery,
    parameters: &mut Vec<Value>,
    filters: &mut String,
) -> (&'static str, &'static str) {
    let mut filter = |condition: &str, value: Value| {
        parameters.push(value);
        filters.push_str(&format!(" AND {condition} = ?{}", parameters.len()));
    };
    if let Some(kind) = &query.kind {
        filter("e.kind", Value::Text(kind.clone()));
    }
    if let Some(account) = query.account {
        filter("a.account", blob(account.as_bytes()));
    }
    if let Some(lease) = query.lease {
        filter("l.lease", blob(lease.as_bytes()));
    }
    match (query.lease, query.account) {
        (Some(_), Some(_)) => (
            "event_leases l JOIN events e USING (height, position)
            JOIN event_accounts a USING (height, position)",
            "l",
        ),
        (Some(_), None) => ("event_leases l JOIN events e USING (height, position)", "l"),
        (None, Some(_)) => ("event_accounts a JOIN events e USING (height, position)", "a"),
        (None, None) => ("events e", "e"),
    }
}

fn blob(bytes: &[u8; 32]) -> Value {
    Value::Blob(bytes.to_vec())
}

fn number(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn size(value: usize) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}
