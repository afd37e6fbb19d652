//! Whether each certificate of a chain signed the one before it, and whether the chain is whole; and the order of a chain
//! that came in another.
//!
//! The top's own issuer is not asked for: a root is left out of a chain on purpose. A leaf alone is another matter:
//! no public authority issues from its root, so its issuer was lost on the way.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;

use super::BundleError;
use super::leaf::{parse, spoken, validity};
use super::signature::{Link, link};
use crate::base::time::Timestamp;

/// Proves a chain. The text names what could not be checked, if anything.
pub(super) fn check(chain: &[CertificateDer<'static>], roots: &[CertificateDer<'_>]) -> Result<Option<String>, BundleError> {
    let parsed = parse_all(chain)?;
    let mut unchecked = None;
    for (at, pair) in parsed.windows(2).enumerate() {
        match link(&pair[0], &pair[1]) {
            Link::Signed => (),
            Link::Unchecked => unchecked = unchecked.or_else(|| Some(unchecked_note(&pair[0], &pair[1]))),
            Link::Wrong => {
                let (found, expected) = (spoken(pair[1].subject()), spoken(pair[0].issuer()));
                return Err(BundleError::Unlinked { number: at + 2, found, expected });
            }
        }
    }
    match &parsed[..] {
        [leaf] if link(leaf, leaf) == Link::Wrong && !rooted(leaf, roots) => {
            Err(BundleError::Cut { subject: leaf_name(leaf), issuer: spoken(leaf.issuer()) })
        }
        _ => Ok(unchecked),
    }
}

fn unchecked_note(cert: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> String {
    format!(
        "the signature of `{}` on `{}` has an algorithm or key size that cannot be checked here ({}); it is served unchecked, \
         and clients decide",
        spoken(issuer.subject()),
        spoken(cert.subject()),
        cert.signature_algorithm.algorithm
    )
}

/// A chain in the order in which it is served.
pub(super) struct Arranged {
    /// The leaf first, each followed by the one that signed it.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// What was changed, for people; `None` when nothing was.
    pub(super) note: Option<String>,
}

/// Sorts a chain whose order is wrong, if only one order fits: clients sort as well, but not all of them. The leaf is the
/// certificate with `public_key`, the private key's own. Certificates that belong to no link are left out. A chain that
/// this cannot mend is given back as it came, for [`check`] to say what is wrong. A root at the end stays: it is superfluous
/// for clients that verify by their own roots, but DANE-TA(2) needs it (RFC 7671 section 5.2.2).
pub(super) fn arrange(chain: Vec<CertificateDer<'static>>, public_key: Option<&[u8]>) -> Result<Arranged, BundleError> {
    let parsed = parse_all(&chain)?;
    let is_linked = |order: &[usize]| order.windows(2).all(|pair| link(&parsed[pair[0]], &parsed[pair[1]]) != Link::Wrong);
    let as_it_came: Vec<usize> = (0..chain.len()).collect();
    let has_key = |at: usize| public_key.is_none_or(|key| parsed[at].public_key().raw == key);
    let sorted = if has_key(0) && is_linked(&as_it_came) { None } else { sort(&parsed, has_key) };
    let Some(order) = sorted else { return Ok(Arranged { chain, note: None }) };
    let left_out = as_it_came.iter().filter(|at| !order.contains(at) && !order.iter().any(|kept| chain[*kept] == chain[**at]));
    let left_out: Vec<String> = left_out.map(|at| format!("`{}`", spoken(parsed[*at].subject()))).collect();
    let mut note = "the certificates of the chain are not in order (the server's own first, then each one's issuer); they are \
                    sorted before they are served, but other programs that read this chain may refuse it"
        .to_owned();
    if !left_out.is_empty() {
        note = format!("{note}; {} signed none of the others and is not served", left_out.join(", "));
    }
    let chain = order.iter().map(|at| chain[*at].clone()).collect();
    Ok(Arranged { chain, note: Some(note) })
}

/// The only order that begins with the leaf and in which each certificate is followed by its issuer.
fn sort(parsed: &[X509Certificate<'_>], has_key: impl Fn(usize) -> bool) -> Option<Vec<usize>> {
    let leaf = (0..parsed.len()).find(|at| has_key(*at))?;
    let mut order = vec![leaf];
    let is_same = |a: usize, b: usize| parsed[a].as_ref() == parsed[b].as_ref();
    loop {
        let last = *order.last()?;
        let mut issuers = Vec::new();
        for at in 0..parsed.len() {
            let is_new = !order.iter().chain(&issuers).any(|known| is_same(*known, at));
            if is_new && link(&parsed[last], &parsed[at]) != Link::Wrong {
                issuers.push(at);
            }
        }
        match issuers[..] {
            [] => break,
            [only] => order.push(only),
            // Cross-signed twins: which of them is meant is for a person to say, or for the file's own order.
            _ => order.push(issuers.iter().copied().find(|at| *at == last + 1)?),
        }
    }
    // Of a leaf alone nothing can be said but that its issuer is missing, which is not a matter of order.
    (order.len() > 1).then_some(order)
}

fn parse_all<'a>(chain: &'a [CertificateDer<'static>]) -> Result<Vec<X509Certificate<'a>>, BundleError> {
    chain.iter().enumerate().map(|(at, der)| parse(der, at + 1)).collect()
}

/// The root that ends a chain of several, for people: clients have it already.
pub(super) fn superfluous_root(chain: &[CertificateDer<'static>]) -> Option<String> {
    let root = chain.last().filter(|_| chain.len() > 1)?;
    let root = parse(root, chain.len()).ok()?;
    (root.subject().as_raw() == root.issuer().as_raw()).then(|| spoken(root.subject()))
}

/// Only the direct issuer must be alive: an expired cross-sign further up is dead weight that clients step over.
pub(super) fn issuer_holds_at(chain: &[CertificateDer<'static>], now: Timestamp) -> Result<(), BundleError> {
    let Some(issuer) = chain.get(1) else { return Ok(()) };
    let issuer = parse(issuer, 2)?;
    let at = validity(&issuer).not_after;
    if at < now { Err(BundleError::Expired { subject: spoken(issuer.subject()), at }) } else { Ok(()) }
}

/// Whether the only certificate of a chain says where its issuer's is (RFC 5280 section 4.2.2.1).
pub(super) fn tells_its_issuer(chain_pem: &str) -> bool {
    use x509_parser::extensions::ParsedExtension;
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(chain_pem.as_bytes()) else { return false };
    let Ok(leaf) = pem.parse_x509() else { return false };
    leaf.extensions().iter().any(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => access
            .accessdescs
            .iter()
            .any(|one| one.access_method == x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS),
        _ => false,
    })
}

fn rooted(leaf: &X509Certificate<'_>, roots: &[CertificateDer<'_>]) -> bool {
    roots.iter().any(|root| parse(root, 1).is_ok_and(|root| link(leaf, &root) != Link::Wrong))
}

fn leaf_name(leaf: &X509Certificate<'_>) -> String {
    let name = leaf.subject_alternative_name().ok().flatten().and_then(|names| names.value.general_names.first().cloned());
    match name {
        Some(x509_parser::extensions::GeneralName::DNSName(name)) => name.to_owned(),
        _ => spoken(leaf.subject()),
    }
}
