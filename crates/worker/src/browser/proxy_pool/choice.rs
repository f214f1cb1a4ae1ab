//! Which upstreams suit a session, best first.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use wharf_protocol::ProxyPlace;

/// Where an upstream is. Made comparable: upper-case codes, and cities in lower case with single spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    country: String,
    state: Option<String>,
    city: Option<String>,
}

/// An upstream that may be chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'pool> {
    /// By which it is told from others.
    pub(super) name: &'pool str,
    pub(super) place: &'pool Place,
}

/// Where one is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted(Place);

impl Place {
    /// # Errors
    /// A clause about the field that makes no sense.
    pub(super) fn new(
        country: &str,
        state: Option<&str>,
        city: Option<&str>,
    ) -> Result<Self, (&'static str, &'static str)> {
        let country = code(country).ok_or(("country", "must be two letters, as in DE"))?;
        let state = state.filter(|state| !state.trim().is_empty());
        let state = state.map(|state| code(state).ok_or(("state", "must be two letters, as in CA")));
        let city = city.map(name).filter(|city| !city.is_empty());
        Ok(Self {
            country,
            state: state.transpose()?,
            city,
        })
    }
}

impl Wanted {
    /// # Errors
    /// The field that makes no sense, and what it must be.
    pub(super) fn of(place: &ProxyPlace) -> Result<Self, &'static str> {
        let country = place.country.as_deref().unwrap_or_default();
        Place::new(country, place.state.as_deref(), place.city.as_deref())
            .map(Self)
            .map_err(|(field, _)| match field {
                "state" => "geolocation/state must be two letters, as in CA",
                _ => "geolocation/country must be two letters, as in DE",
            })
    }

    pub(super) fn country(&self) -> &str {
        &self.0.country
    }
}

/// Two letters, in capitals.
fn code(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()))
        .then(|| text.to_ascii_uppercase())
}

/// People write San Francisco, san_francisco and SAN FRANCISCO.
fn name(text: &str) -> String {
    let lower = text.to_lowercase().replace('_', " ");
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every upstream that is in the wanted country, by its number: those in the wanted city first, then those in the state.
/// Those that are equally near come in an order that is the session's own, and the same whatever others are in the pool.
pub(super) fn order(pool: &[Candidate<'_>], wanted: Option<&Wanted>, session: u64) -> Vec<usize> {
    let mut suited: Vec<_> = pool
        .iter()
        .enumerate()
        .filter_map(|(index, candidate)| {
            let nearness = wanted.map_or(Some(0), |wanted| nearness(candidate.place, &wanted.0))?;
            let share = share(session, candidate.name);
            Some((std::cmp::Reverse(nearness), share, index))
        })
        .collect();
    suited.sort_unstable();
    suited.into_iter().map(|(.., index)| index).collect()
}

/// `None` for another country. There are towns of one name in several states.
fn nearness(place: &Place, wanted: &Place) -> Option<u8> {
    if place.country != wanted.country {
        return None;
    }
    let same = |has: &Option<String>, wanted: &Option<String>| wanted.is_some() && has == wanted;
    let (same_state, same_city) = (same(&place.state, &wanted.state), same(&place.city, &wanted.city));
    let other_state = matches!((&place.state, &wanted.state), (Some(has), Some(wanted)) if has != wanted);
    Some(match (same_city && !other_state, same_state) {
        (true, true) => 3,
        (true, false) => 2,
        (false, true) => 1,
        (false, false) => 0,
    })
}

/// The upstream with the least share is the session's. When one leaves the pool, only its own sessions move.
fn share(session: u64, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (session, name).hash(&mut hasher);
    hasher.finish()
}

/// The countries in which there are some, for a message.
pub(super) fn countries(pool: &[Candidate<'_>]) -> String {
    let countries: BTreeSet<_> = pool
        .iter()
        .map(|candidate| candidate.place.country.as_str())
        .collect();
    countries.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(text: &str) -> Place {
        let mut words = text
            .split('/')
            .map(|word| Some(word).filter(|word| !word.is_empty()));
        let mut next = || words.next().flatten();
        Place::new(next().unwrap(), next(), next()).unwrap()
    }

    fn chosen(pool: &[&str], wanted: &str) -> Vec<usize> {
        let places: Vec<_> = pool.iter().map(|text| place(text)).collect();
        order(&named(&places), Some(&Wanted(place(wanted))), 7)
    }

    fn named(places: &[Place]) -> Vec<Candidate<'_>> {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
        let named = names.into_iter().zip(places);
        named.map(|(name, place)| Candidate { name, place }).collect()
    }

    #[test]
    fn the_city_counts_more_than_the_state_and_that_more_than_the_country() {
        let pool = [
            "US",
            "US/CA",
            "US/CA/Los Angeles",
            "US/CA/San Francisco",
            "US/TX/Paris",
            "FR//Paris",
        ];
        assert_eq!(chosen(&pool, "US/CA/san_francisco")[0], 3);
        assert_eq!(chosen(&pool, "us//SAN  FRANCISCO")[0], 3);
        assert!([1, 2, 3].contains(&chosen(&pool, "US/CA/Fresno")[0]));
        assert_eq!(chosen(&pool, "US/CA/Fresno").len(), 5);
        assert_eq!(chosen(&pool, "FR//Paris"), [5]);
        assert_eq!(chosen(&pool, "DE"), [0; 0]);
    }

    #[test]
    fn a_town_of_the_same_name_in_another_state_is_another_town() {
        let pool = ["US/ME/Portland", "US/OR/Salem", "US//Portland"];
        assert_eq!(chosen(&pool, "US/OR/Portland"), [2, 1, 0]);
    }

    #[test]
    fn a_place_is_a_country_of_two_letters_at_least() {
        for (country, state) in [
            ("", None),
            ("DEU", None),
            ("D", None),
            ("ÄÖ", None),
            ("1A", None),
            ("US", Some("Cal")),
        ] {
            assert!(Place::new(country, state, None).is_err(), "{country}");
        }
        assert_eq!(Place::new("de", Some(" "), Some("")).unwrap(), place("DE"));
    }

    fn places() -> impl Strategy<Value = Vec<Place>> {
        let one = (
            prop::sample::select(vec!["US", "DE", "FR"]),
            prop::option::of(prop::sample::select(vec!["CA", "TX", "BE"])),
            prop::option::of(prop::sample::select(vec!["Paris", "Berlin", "San Francisco"])),
        );
        prop::collection::vec(one, 0..12).prop_map(|all| {
            all.into_iter()
                .map(|(a, b, c)| Place::new(a, b, c).unwrap())
                .collect()
        })
    }

    proptest! {
        #[test]
        fn all_of_the_country_are_candidates_once_and_the_nearest_come_first(
            pool in places(), wanted in places(), session: u64,
        ) {
            let Some(wanted) = wanted.first() else { return Ok(()) };
            let pool = named(&pool);
            let order = order(&pool, Some(&Wanted(wanted.clone())), session);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            let suited: Vec<_> = (0..pool.len()).filter(|&index| pool[index].place.country == wanted.country).collect();
            prop_assert_eq!(sorted, suited);
            let near: Vec<_> = order.iter().map(|&index| nearness(pool[index].place, wanted).unwrap()).collect();
            prop_assert!(near.is_sorted_by(|a, b| a >= b), "{:?}", near);
        }

        #[test]
        fn only_the_sessions_of_one_that_leaves_move(
            pool in places(), wanted in prop::option::of(places()), leaving: prop::sample::Index, session: u64,
        ) {
            let wanted = wanted.and_then(|places| places.into_iter().next()).map(Wanted);
            let pool = named(&pool);
            let names = |pool: &[Candidate<'_>]| -> Vec<String> {
                let order = order(pool, wanted.as_ref(), session);
                order.into_iter().map(|index| pool[index].name.to_owned()).collect()
            };
            if pool.is_empty() {
                return Ok(());
            }
            let mut fewer = pool.clone();
            let gone = fewer.remove(leaving.index(pool.len()));
            let mut left = names(&pool);
            left.retain(|name| name != gone.name);
            prop_assert_eq!(left, names(&fewer));
        }
    }

    #[test]
    fn sessions_are_spread_over_equals() {
        let pool = [place("DE"), place("DE"), place("DE"), place("DE")];
        let pool = named(&pool);
        let mut counts = [0_u32; 4];
        for session in 0..4_000_u64 {
            counts[order(&pool, None, session)[0]] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1_100).contains(count)),
            "{counts:?}"
        );
    }
}
