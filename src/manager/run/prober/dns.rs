//! Questions of RFC 1035 and what their answers say: that a name server works, not what it knows.

use ring::rand::{SecureRandom, SystemRandom};
use simple_dns::{CLASS, Name, Packet, PacketFlag, TYPE, header_buffer};

use crate::model::check::Question;
use crate::model::outcome::Blame;

/// Bytes of a header; section 4.1.1.
const HEADER_BYTES: usize = 12;
/// Bytes of a question behind its name: type and class; section 4.1.2.
const TAIL_BYTES: usize = 4;
/// The response codes of a name server that works: NOERROR and NXDOMAIN.
const GOOD: [u8; 2] = [0, 3];

/// A question with a number that nobody can foresee (RFC 5452), which the server may ask others about.
pub(super) fn query(question: &Question) -> Result<Vec<u8>, Blame> {
    let mut id = [0; 2];
    SystemRandom::new().fill(&mut id).map_err(|_| Blame::Local(libc::EIO))?;
    packet(question, u16::from_be_bytes(id)).ok_or(Blame::Local(libc::EINVAL))
}

fn packet(question: &Question, id: u16) -> Option<Vec<u8>> {
    let name = if question.name == "." { "" } else { &question.name };
    let name = Name::new(name).ok()?;
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let kind = TYPE::from(question.kind).into();
    packet.questions.push(simple_dns::Question::new(name, kind, CLASS::IN.into(), false));
    packet.build_bytes_vec().ok()
}

/// The response code of a message, if it is an answer to this question: with the same number, and the same question in
/// it, whose letters may have another case. What records it has nobody looks at.
pub(super) fn answer(query: &[u8], message: &[u8]) -> Option<u8> {
    let is_response = header_buffer::has_flags(message, PacketFlag::RESPONSE).ok()?;
    let has_number = header_buffer::id(message).ok()? == header_buffer::id(query).ok()?;
    let has_one_question = header_buffer::questions(message).ok()? == 1;
    let asked = query.get(HEADER_BYTES..)?;
    let repeated = message.get(HEADER_BYTES..query.len())?;
    let name_bytes = asked.len().checked_sub(TAIL_BYTES)?;
    // The lengths among the letters are below 64, where nothing has a case.
    let has_name = asked[..name_bytes].eq_ignore_ascii_case(&repeated[..name_bytes]);
    let has_tail = asked[name_bytes..] == repeated[name_bytes..];
    let is_answer = is_response && has_number && has_one_question && has_name && has_tail;
    is_answer.then_some(message[3] & 0xf)
}

/// Whether a server that answers with this code works.
pub(super) fn is_good(code: u8) -> bool {
    GOOD.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u16) -> Question {
        Question { name: name.to_owned(), kind }
    }

    /// The query as a server answers it.
    fn answered(query: &[u8], code: u8) -> Vec<u8> {
        let mut message = query.to_vec();
        message[2] |= 0x80;
        message[3] = 0x80 | code;
        message.extend_from_slice(b"whatever records there are");
        message
    }

    #[test]
    fn question_is_in_wire_format() {
        let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x1c\x00\x01";
        assert_eq!(packet(&question("www.example", 28), 0x1234).unwrap(), expected);
        let root = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01";
        assert_eq!(packet(&question(".", 2), 7).unwrap(), root);
    }

    #[test]
    fn answer_has_the_number_and_the_question() {
        let query = packet(&question("www.example", 1), 7).unwrap();
        assert_eq!(answer(&query, &answered(&query, 0)), Some(0));
        let mut shouted = answered(&query, 3);
        shouted[13..16].copy_from_slice(b"WwW");
        assert_eq!(answer(&query, &shouted), Some(3));
        // Itself, another number, another name, another type, no question, two questions.
        let wrong: [fn(&mut Vec<u8>); 6] = [
            |message| message[2] &= 0x7f,
            |message| message[1] ^= 1,
            |message| message[14] = b'x',
            |message| message[26] ^= 32,
            |message| message[5] = 0,
            |message| message[5] = 2,
        ];
        for (number, change) in wrong.iter().enumerate() {
            let mut message = answered(&query, 0);
            change(&mut message);
            assert_eq!(answer(&query, &message), None, "{number}");
        }
        for length in 0..query.len() {
            assert_eq!(answer(&query, &answered(&query, 0)[..length]), None, "{length}");
        }
    }

    #[test]
    fn servers_that_fail_or_refuse_do_not_work() {
        assert_eq!([0, 1, 2, 3, 4, 5, 9].map(is_good), [true, false, false, true, false, false, false]);
    }

    #[test]
    fn numbers_differ() {
        let question = question("a.example", 1);
        let first = query(&question).unwrap();
        assert!((0..8).any(|_| query(&question).unwrap()[..2] != first[..2]));
    }
}
