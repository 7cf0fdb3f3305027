//! Golden vectors, every split, everything that is wrong, and that nothing panics.

use proptest::prelude::*;

use super::*;
use crate::model::address::UnixName;
use crate::model::limits::PROXY_HEADER_BYTES_MAX;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn v2(command: u8, family: u8, length: u16, rest: &[u8]) -> Vec<u8> {
    let mut bytes = v2::SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(rest);
    bytes
}

/// As [`v2`], of the length that it has.
fn whole(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    v2(command, family, u16::try_from(rest.len()).unwrap(), rest)
}

const ENDS_V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 0x04, 0x01, 0xbb];

/// The client, and where it connected to.
type Told = Option<(SocketAddr, SocketAddr)>;

/// Headers, with what they mean.
fn vectors() -> Vec<(Vec<u8>, Told)> {
    let v4 = Some((addr("192.0.2.1:56324"), addr("198.51.100.7:443")));
    let v6 = Some((addr("[2001:db8::1]:56324"), addr("[2001:db8::2]:443")));
    let with = |tail: &[u8]| whole(0x21, 0x11, &[&ENDS_V4, tail].concat());
    let longest =
        "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    let all_ones = addr("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    vec![
        (b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n".to_vec(), v4),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n".to_vec(), v6),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.7 56324 443\r\n".to_vec(), v4),
        (longest.as_bytes().to_vec(), Some((all_ones, all_ones))),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN whatever this is 1 2\r\n".to_vec(), None),
        (whole(0x21, 0x11, &ENDS_V4), v4),
        (
            hex("0d0a0d0a000d0a515549540a 21 21 0024 20010db8000000000000000000000001 \
              20010db8000000000000000000000002 dc04 01bb"),
            v6,
        ),
        // A name (PP2_TYPE_AUTHORITY), nothing (PP2_TYPE_NOOP), and an addition of somebody's own without a value.
        (with(&[0x02, 0, 1, b'a', 0x04, 0, 2, 0, 0, 0xe0, 0, 0]), v4),
        (LOCAL.to_vec(), None),
        (whole(0x20, 0x11, &ENDS_V4), None),
        (whole(0x20, 0xff, b"skipped"), None),
        (whole(0x21, 0x00, b"skipped"), None),
        (whole(0x21, 0x12, &ENDS_V4), None),
        (whole(0x21, 0x31, &[0; 216]), None),
    ]
}

#[test]
fn header_means_the_same_however_it_is_split() {
    for (bytes, ends) in vectors() {
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end], Versions::Any), Parsed::Incomplete, "{end} of {bytes:?}");
        }
        let header = Parsed::Header(Header { len: bytes.len(), ends });
        assert_eq!(parse(&bytes, Versions::Any), header, "{bytes:?}");
        let more = [bytes.as_slice(), b"PROXY TCP4 1.1.1.1 2.2.2.2 3 4\r\n"].concat();
        assert_eq!(parse(&more, Versions::Any), header, "what follows is the client's");
    }
}

#[test]
fn version_that_is_not_expected_is_refused_at_its_first_byte() {
    for (bytes, _) in vectors() {
        let is_v1 = bytes[0] == b'P';
        let other = if is_v1 { Versions::V2 } else { Versions::V1 };
        assert!(matches!(parse(&bytes[..1], other), Parsed::Malformed(_)));
        let own = if is_v1 { Versions::V1 } else { Versions::V2 };
        assert!(matches!(parse(&bytes, own), Parsed::Header(_)));
    }
}

#[test]
fn line_that_is_wrong_is_refused() {
    for line in [
        "GET / HTTP/1.0\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "proxy TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 1\r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.7 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 +56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.7 56324 443\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.7 56324 443\r\n",
        "PROXY TCP6 fe80::1%1 fe80::2 56324 443\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.7 56324 443\r\n",
        "PROXY TCP4 192.0.2.1\t198.51.100.7 56324 443\r\n",
    ] {
        assert!(matches!(parse(line.as_bytes(), Versions::Any), Parsed::Malformed(_)), "{line:?}");
    }
    let long = format!("PROXY UNKNOWN {}", "x".repeat(200));
    for end in 0..long.len() {
        let parsed = parse(&long.as_bytes()[..end], Versions::Any);
        assert_eq!(parsed == Parsed::Incomplete, end < v1::BYTES_MAX, "{end}: {parsed:?}");
    }
}

#[test]
fn binary_header_that_is_wrong_is_refused_as_soon_as_that_is_seen() {
    let ends = &ENDS_V4;
    for (bytes, seen_at, what) in [
        (whole(0x11, 0x11, ends), 13, "another version"),
        (whole(0x22, 0x11, ends), 13, "another command"),
        (whole(0x21, 0x13, ends), 14, "another protocol"),
        (whole(0x21, 0x41, ends), 14, "another family"),
        (v2(0x21, 0x11, 65_535, ends), 16, "longer than any"),
        (v2(0x20, 0x00, 65_535, ends), 16, "longer than any, and of no use"),
        (v2(0x21, 0x11, 11, ends), 16, "shorter than its addresses"),
        (v2(0x21, 0x21, 35, &[0; 35]), 16, "shorter than its addresses"),
        (v2(0x21, 0x31, 215, &[0; 215]), 16, "shorter than its addresses"),
        (whole(0x21, 0x11, &[&ends[..], &[4]].concat()), 29, "an addition without a length"),
        (whole(0x21, 0x11, &[&ends[..], &[4, 0]].concat()), 30, "an addition with half of one"),
        (whole(0x21, 0x11, &[&ends[..], &[4, 0, 2, 0]].concat()), 32, "an addition that goes on behind the header"),
        (whole(0x21, 0x11, &[&ends[..], &[4, 0xff, 0xff, 0]].concat()), 32, "the same, by far"),
        (whole(0x21, 0x11, &[&ends[..], &[3, 0, 4, 1, 2, 3, 4]].concat()), 35, "a wrong checksum"),
        (whole(0x21, 0x11, &[&ends[..], &[3, 0, 3, 1, 2, 3]].concat()), 34, "a short checksum"),
    ] {
        for end in 0..=bytes.len() {
            let is_wrong = matches!(parse(&bytes[..end], Versions::V2), Parsed::Malformed(_));
            assert_eq!(is_wrong, end >= seen_at, "{what}: {end}");
        }
    }
}

#[test]
fn checksum_is_that_of_the_header_with_zeros_in_its_place() {
    let mut bytes = whole(0x21, 0x11, &[&ENDS_V4[..], &[3, 0, 4, 0, 0, 0, 0], &[4, 0, 1, 0]].concat());
    let sum = crc::of(&bytes, &(0..0));
    bytes[31..35].copy_from_slice(&sum.to_be_bytes());
    let Parsed::Header(Header { ends: Some(_), .. }) = parse(&bytes, Versions::V2) else { panic!("it is right") };
    // Without its kind it is no checksum.
    for at in (16..bytes.len()).filter(|at| *at != 28) {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x10;
        assert!(!matches!(parse(&wrong, Versions::V2), Parsed::Header(_)), "byte {at} was changed");
    }
}

#[test]
fn header_of_the_most_bytes_is_taken_and_of_one_more_is_not() {
    let with = |bytes: usize| {
        let value = vec![7; bytes - 16 - 12 - 3];
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        whole(0x21, 0x11, &[&ENDS_V4[..], &[0xe0], &length, &value].concat())
    };
    assert!(matches!(parse(&with(PROXY_HEADER_BYTES_MAX), Versions::V2), Parsed::Header(_)));
    assert!(matches!(parse(&with(PROXY_HEADER_BYTES_MAX + 1), Versions::V2), Parsed::Malformed(_)));
}

#[test]
fn written_headers_are_those_of_the_specification() {
    let (client, to) = (addr("192.0.2.1:56324"), addr("198.51.100.7:443"));
    assert_eq!(
        write(Announce::V1, client.into(), to.into()).as_bytes(),
        b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
    );
    assert_eq!(write(Announce::V2, client.into(), to.into()).as_bytes(), whole(0x21, 0x11, &ENDS_V4));
    let wide = addr("[2001:db8::2]:443");
    let mixed = write(Announce::V1, client.into(), wide.into());
    assert_eq!(mixed.as_bytes(), b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 56324 443\r\n");
    assert_eq!(write(Announce::Off, client.into(), to.into()).as_bytes(), b"");
    let most = addr("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    assert_eq!(
        write(Announce::V1, most.into(), most.into()).as_bytes().len(),
        104,
        "the longest line of known addresses"
    );
}

#[test]
fn client_without_an_address_is_unknown_or_of_the_family_of_sockets_in_files() {
    let to = Endpoint::Unix(UnixName::new("/run/x.sock").unwrap());
    assert_eq!(write(Announce::V1, Endpoint::LOCAL, to).as_bytes(), b"PROXY UNKNOWN\r\n");
    let mut names = [0; 216];
    names[108..119].copy_from_slice(b"/run/x.sock");
    let header = write(Announce::V2, Endpoint::LOCAL, to);
    assert_eq!(header.as_bytes(), whole(0x21, 0x31, &names));
    for (bytes, versions) in [(header, Versions::V2), (write(Announce::V1, Endpoint::LOCAL, to), Versions::V1)] {
        let bytes = bytes.as_bytes();
        assert_eq!(parse(bytes, versions), Parsed::Header(Header { len: bytes.len(), ends: None }));
    }
    let hidden = write(Announce::V2, Endpoint::LOCAL, Endpoint::Unix(UnixName::new("@x").unwrap()));
    assert_eq!(&hidden.as_bytes()[124..127], b"\0x\0");
}

fn any_addr() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| canonical(ip, port))
}

proptest! {
    #[test]
    fn written_header_is_read_back(client in any_addr(), to in any_addr(), binary: bool) {
        let announce = if binary { Announce::V2 } else { Announce::V1 };
        let written = write(announce, client.into(), to.into());
        let header = Header { len: written.as_bytes().len(), ends: Some((client, to)) };
        prop_assert_eq!(parse(written.as_bytes(), Versions::Any), Parsed::Header(header));
    }

    #[test]
    fn any_bytes_are_parsed_and_more_of_them_change_no_verdict(
        start in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", &v2::SIGNATURE, &LOCAL[..13], b"\r\n"]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [start, rest.as_slice()].concat();
        let mut before = Parsed::Incomplete;
        for end in 0..=bytes.len() {
            let parsed = parse(&bytes[..end], Versions::Any);
            prop_assert!(before == Parsed::Incomplete || matches!(
                (before, parsed),
                (Parsed::Malformed(_), Parsed::Malformed(_)) | (Parsed::Header(_), Parsed::Header(_))
            ), "{:?} became {:?}", before, parsed);
            before = parsed;
        }
    }

    #[test]
    fn header_with_a_byte_changed_does_no_harm(which in 0..15_usize, at: prop::sample::Index, byte: u8) {
        let mut bytes = vectors().remove(which).0;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Parsed::Header(header) = parse(&bytes, Versions::Any) {
            prop_assert!(header.len <= bytes.len());
        }
    }
}
