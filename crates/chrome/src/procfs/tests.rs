use super::*;
use proptest::prelude::*;

const STAT: &[u8] = b"4242 (chro) S (mium) S 1 4200 4100 0 -1 4194560 900 0 0 0 7 5 3 2 20 0 33 0 1 2 3\n";

#[test]
fn a_name_with_parentheses_does_not_shift_the_fields() {
    assert_eq!(
        parse_stat(STAT),
        Some(Stat {
            zombie: false,
            session: 4100,
            ticks: 7 + 5 + 3 + 2
        })
    );
}

#[test]
fn the_smaps_total_is_in_bytes_and_not_one_of_its_parts() {
    let text = b"5581-7ffe ---p 00000000 00:00 0 [rollup]\nRss: 900 kB\nPss:    155 kB\nPss_Anon: 80 kB\n";
    assert_eq!(parse_kibibytes(text, "Pss:"), Some(155 * 1024));
}

#[test]
fn statm_and_children_are_read_by_position() {
    assert_eq!(
        parse_statm(b"100 50 20 1 0 9 0\n"),
        Some(Statm {
            resident: 50,
            shared: 20
        })
    );
    let pids: Vec<i32> = parse_pids(b"12 345 \n")
        .into_iter()
        .map(|pid| pid.as_raw_nonzero().get())
        .collect();
    assert_eq!(pids, [12, 345]);
}

#[test]
fn our_own_process_can_be_read() {
    let me = rustix::process::getpid();
    assert!(!stat(me).unwrap().zombie);
    assert!(pss(me).unwrap() > 100 * 1024);
    let statm = statm(me).unwrap();
    assert!(statm.resident > statm.shared);
    assert!(lists_children());
}

proptest! {
    #[test]
    fn malformed_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (parse_stat(&bytes), parse_statm(&bytes), parse_kibibytes(&bytes, "Pss:"));
        for pid in parse_pids(&bytes) {
            prop_assert!(pid.as_raw_nonzero().get() > 0);
        }
    }

    #[test]
    fn a_cut_stat_line_is_refused_or_read_whole(end in 0..STAT.len()) {
        // Cutting inside the last number we read gives a smaller number, never a larger one.
        if let Some(stat) = parse_stat(&STAT[..end]) {
            prop_assert!(stat.ticks <= 17 && stat.session == 4100);
        }
    }

    #[test]
    fn one_damaged_byte_never_panics(index in 0..STAT.len(), byte in any::<u8>()) {
        let mut line = STAT.to_vec();
        line[index] = byte;
        let _ = parse_stat(&line);
    }
}
