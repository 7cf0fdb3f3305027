//! What of a text is kept around a change, before and after.

use std::time::{Duration, Instant};

use super::{after, enable, host, service};
use crate::config::{Address, Config, Group, parse, rewrite, write};
use crate::model::access::{Net, Rule, Verdict};
use crate::model::limits::HEARTBEAT;
use crate::model::scheduler::SchedulerKind;

/// Before and after.
#[track_caller]
fn becomes(before: &str, change: impl Fn(&mut Config), expected: &str) {
    let result = after(before, change);
    assert!(result == expected, "is\n{result}\nexpected\n{expected}");
}

/// The first group.
fn group(config: &mut Config) -> &mut Group {
    &mut config.services[0].groups[0]
}

/// A file with these lines in its only group.
fn hosts(lines: &str) -> String {
    format!(
        "<director>\n  <service name='s'>\n    <listen ip='*:1'/>\n    <group name='g'>\n{lines}    </group>\n  \
         </service>\n</director>\n"
    )
}

#[test]
fn prologue_epilogue_and_instructions_survive() {
    let file = |weight: &str| {
        format!(
            "\u{feff}<?xml version='1.0'?>\n<!-- é -->\n<!DOCTYPE director\n  SYSTEM \"é'>.dtd\" [ <!-- ä --> ]>\n\
             <?pi a?>\n<director>\n  <?pi b?>\n  <service name='s'><listen ip='*:1'/><group name='g'>\n\
             <host ip='h:2'{weight}/><?pi c?></group></service>\n</director>\n<!-- end -->\n\n"
        )
    };
    becomes(&file(""), |config| group(config).hosts[0].weight = 3, &file(" weight='3'"));
}

#[test]
fn quotes_spellings_and_space_in_tags_stay() {
    let file = |scheduler: &str, timeout: &str| {
        format!(
            "<config>\n<service\tname = 's'\n   idle-timeout\n=\n\"600\" {timeout} >\n<listen ip='0.0.0.0:80' />\
             <group name=\"g\" scheduler = '{scheduler}' ><host ip='A.example:080' weight=' 01 ' />\n</group ></service \
             ></config>"
        )
    };
    let change = |config: &mut Config| {
        group(config).scheduler = SchedulerKind::P2c;
        config.services[0].fin_timeout = Some(Duration::from_secs(7200));
    };
    becomes(&file("rand", "fin-timeout='60'"), change, &file("p2c", "fin-timeout='7200'"));
}

#[test]
fn values_are_escaped_for_either_quote() {
    becomes(
        &hosts("      <host name='a' ip='h:2'/>\n"),
        |config| group(config).hosts[0].name = "<a> & \"b's\"".into(),
        &hosts("      <host name='&lt;a&gt; &amp; &quot;b&apos;s&quot;' ip='h:2'/>\n"),
    );
}

#[test]
fn rules_of_a_list_keep_their_comments_and_their_order() {
    let file = |rules: &str| {
        let service = "  <service name='s'><listen ip='*:1'/><group name='g'><host ip='h:2'/></group></service>";
        format!(
            "<director>\n{service}\n  <!-- the house -->\n  <acl name='lan' default='deny'>\n{rules}  </acl>\n</director>\n"
        )
    };
    let before = file(
        "    <!-- one guest -->
    <deny net='10.9.9.9'/>
    <!-- all offices -->
    <permit net='10.0.0.0/8'/> <!-- since May -->
    <permit net='::1/128'/>

    <!-- <permit net='192.0.2.0/24'/> -->
    <deny net='2001:db8::/32'/>
",
    );
    let net = |net: &str| {
        let (ip, prefix) = net.split_once('/').unwrap();
        Net::new(ip.parse().unwrap(), prefix.parse().unwrap()).unwrap()
    };
    let change = |config: &mut Config| {
        let rules = &mut config.acls[0].rules;
        rules[1].net = net("11.0.0.0/8");
        rules.remove(2);
        rules.insert(1, Rule { verdict: Verdict::Deny, net: net("10.7.0.0/16") });
    };
    let expected = file(
        "    <!-- one guest -->
    <deny net='10.9.9.9'/>
    <deny net=\"10.7.0.0/16\"/>
    <!-- all offices -->
    <permit net='11.0.0.0/8'/> <!-- since May -->

    <!-- <permit net='192.0.2.0/24'/> -->
    <deny net='2001:db8::/32'/>
",
    );
    becomes(&before, change, &expected);
    // What stands above several of a kind may be about all of them, and stays.
    let swap = |config: &mut Config| {
        config.acls[0].rules.swap(0, 1);
        config.acls[0].default = Verdict::Permit;
        config.acls[0].rules[3].verdict = Verdict::Permit;
    };
    let expected = file(
        "    <permit net='10.0.0.0/8'/> <!-- since May -->
    <!-- one guest -->
    <deny net='10.9.9.9'/>
    <!-- all offices -->
    <permit net='::1/128'/>
    <permit net=\"2001:db8::/32\"/>

    <!-- <permit net='192.0.2.0/24'/> -->
",
    );
    becomes(&before, swap, &expected.replace("default='deny'", "default='permit'"));
}

#[test]
fn removed_host_takes_what_is_clearly_its_own() {
    let before = hosts(
        "      <!-- these are new -->
      <host name='a' ip='h:1'/> <!-- a's -->
      <host name='b' ip='h:2'/>

      <!-- about
           c -->
      <!-- more about c -->
      <host name='c' ip='h:3'/>

      <!-- <host name='z' ip='h:9'/> -->
      <host name='d' ip='h:4'/>
      <!-- not directly above -->

      <host name='e' ip='h:5'/>
    <!-- elsewhere -->
      <host name='f' ip='h:6'/>
      <!-- about g --><host name='g' ip='h:7'/>
      <host name='h' ip='h:8'/>
",
    );
    let after = hosts(
        "      <!-- these are new -->
      <host name='b' ip='h:2'/>

      <!-- <host name='z' ip='h:9'/> -->
      <!-- not directly above -->

    <!-- elsewhere -->
      <!-- about g -->
      <host name='h' ip='h:8'/>
",
    );
    becomes(&before, |config| group(config).hosts.retain(|host| "bh".contains(&host.name)), &after);
}

#[test]
fn moved_host_takes_its_lines_along() {
    let before = hosts(
        "      <!-- a's -->
      <host name='a' ip='h:1'/>

      <!-- b's -->
      <host name='b'
            ip='h:2'/> <!-- slow -->
      <host name='c' ip='h:3'/><host name='d' ip='h:4'/>
      <host name='e' ip='h:5'/>
",
    );
    let after = hosts(
        "      <host name='d' ip='h:4'/>

      <!-- b's -->
      <host name='b'
            ip='h:2' weight='9'/> <!-- slow -->
      <host name='c' ip='h:3'/>
      <host name='e' ip='h:5'/>
      <!-- a's -->
      <host name='a' ip='h:1'/>
",
    );
    let change = |config: &mut Config| {
        let hosts = &mut group(config).hosts;
        hosts[1].weight = 9;
        let (a, d) = (hosts.remove(0), hosts.remove(2));
        hosts.push(a);
        hosts.insert(0, d);
    };
    becomes(&before, change, &after);
}

#[test]
fn renamed_host_and_listener_on_another_address_are_changed_in_their_place() {
    let before = hosts("      <!-- old -->\n      <host name='a' ip='h:2' max='7'/>\n");
    let after = before.replace("'a'", "'b'").replace("*:1", "*:9");
    let change = |config: &mut Config| {
        group(config).hosts[0].name = "b".into();
        config.services[0].listens[0].address = Address::Socket("0.0.0.0:9".parse().unwrap());
    };
    becomes(&before, change, &after);
}

#[test]
fn indentation_is_that_of_the_file() {
    let before = "<director>\n\t<service name='s'>\n\t\t<listen ip='*:1'/>\n\t\t<group name='g'>\n\t\t\t<host \
                  ip='h:2'/>\n\t\t</group>\n\t</service>\n</director>\n";
    let added = "\t<service name=\"new\">\n\t\t<listen ip=\"10.1.1.1:81\"/>\n\t\t<group name=\"main\" \
                 scheduler=\"random\">\n\t\t\t<host name=\"a &amp; b\" ip=\"10.8.8.8:8\"/>\n\t\t</group>\n\t</service>\n";
    let (start, end) = before.split_once("</director>").unwrap();
    let after = format!("{start}{added}</director>{end}");
    becomes(before, |config| config.services.push(service("new")), &after);
}

#[test]
fn elements_without_children_are_opened_for_the_first() {
    for (before, after) in [
        ("  <manager rise='2'/>\n", "  <manager rise='2'>\n    <heartbeat enable=\"true\"/>\n  </manager>\n"),
        ("  <manager ></manager>\n", "  <manager >\n    <heartbeat enable=\"true\"/>\n  </manager>\n"),
        ("  <manager>\n  </manager>\n", "  <manager>\n    <heartbeat enable=\"true\"/>\n  </manager>\n"),
        (
            "  <manager>\n    <!-- a -->\n  </manager>\n",
            "  <manager>\n    <!-- a -->\n    <heartbeat enable=\"true\"/>\n  </manager>\n",
        ),
        ("  <manager><!-- a --></manager>\n", "  <manager><!-- a --><heartbeat enable=\"true\"/></manager>\n"),
        ("<!-- x --> <manager />", "<!-- x --> <manager><heartbeat enable=\"true\"/></manager>"),
        (
            "  <manager>\n    <control socket='a'/>\n  </manager>\n",
            "  <manager>\n    <heartbeat enable=\"true\"/>\n    <control socket='a'/>\n  </manager>\n",
        ),
    ] {
        let file = |more: &str| hosts("      <host ip='h:2'/>\n").replace("</director>", &format!("{more}</director>"));
        let change = |config: &mut Config| config.manager.heartbeat = Some(HEARTBEAT);
        becomes(&file(before), change, &file(after));
    }
}

#[test]
fn group_that_serves_is_marked_when_the_first_is_another_one() {
    let file = |groups: &str| {
        format!("<director>\n  <service name='s'>\n    <listen ip='*:1'/>\n{groups}  </service>\n</director>\n")
    };
    let line = |name: &str, mark: &str| format!("    <group name='{name}'{mark}><host ip='h:2'/></group>\n");
    let added = "    <group name=\"main\" scheduler=\"random\">\n      <host name=\"a &amp; b\" ip=\"10.8.8.8:8\"/>\n    \
                 </group>\n";
    let insert_and_enable = |index: usize| {
        move |config: &mut Config| {
            config.services[0].groups.insert(0, service("new").groups.remove(0));
            enable(&mut config.services[0], index);
        }
    };
    let (plain, off) = (line("a", ""), line("b", " enable='no'"));
    let element = "    <enable group=\"a\"/>\n";
    becomes(&file(&plain), insert_and_enable(1), &file(&format!("{added}{plain}{element}")));
    let marked = line("a", " enable='true'");
    becomes(&file(&format!("{off}{plain}")), insert_and_enable(2), &file(&format!("{added}{off}{marked}")));
    becomes(&file(&format!("{marked}{off}")), insert_and_enable(1), &file(&format!("{added}{marked}{off}")));
    let (a_off, b_on) = (line("a", " enable='false'"), line("b", " enable='yes'"));
    let second = |config: &mut Config| enable(&mut config.services[0], 1);
    becomes(&file(&format!("{marked}{off}")), second, &file(&format!("{a_off}{b_on}")));
}

#[test]
fn element_that_was_off_says_what_it_means_now() {
    let file = |more: &str| hosts("      <host ip='h:2'/>\n").replace("</director>", &format!("{more}</director>"));
    let change = |config: &mut Config| {
        config.manager.host_check = Duration::from_secs(9);
        config.manager.heartbeat = Some(HEARTBEAT);
    };
    becomes(
        &file("<manager><heartbeat interval='7' enable='no'/><hostCheck interval='60' enable='0'/></manager>"),
        change,
        &file("<manager><heartbeat enable='yes'/><hostCheck interval='9' enable='1'/></manager>"),
    );
}

#[test]
fn text_that_is_no_configuration_keeps_what_is_before_its_root() {
    let config = parse(&hosts("<host ip='h:2'/>"), "f").unwrap();
    let written = write(&config);
    for (text, kept) in [
        ("", ""),
        ("no XML", ""),
        ("<!-- kept --><director></director>", "<!-- kept -->\n"),
        (
            "\u{feff}<?xml version='1.0'?>\n<!-- kept -->\n\n<pdconfig>",
            "\u{feff}<?xml version='1.0'?>\n<!-- kept -->\n\n",
        ),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", ""),
        ("\0<!-- a -->", ""),
    ] {
        assert_eq!(rewrite(text, &config), format!("{kept}{written}"), "{text}");
    }
}

#[test]
fn text_that_no_file_can_have_is_left_to_others() {
    let mut config = parse(&hosts("<host ip='h:2'/>"), "f").unwrap();
    config.services[0].name = "a\u{1}".into();
    assert_eq!(rewrite(&hosts("<host ip='h:2'/>"), &config), write(&config));
}

#[test]
fn large_file_is_rewritten_quickly() {
    for newline in ["\n", ""] {
        let lines =
            |from: usize| (from..8000).map(|n| format!("<host name='{n}' ip='h:2'/>{newline}")).collect::<String>();
        let started = Instant::now();
        becomes(&hosts(&lines(0)), |config| drop(group(config).hosts.remove(0)), &hosts(&lines(1)));
        becomes(&hosts(&lines(1)), |config| group(config).hosts.rotate_left(1), &{
            hosts(&format!("{}<host name='1' ip='h:2'/>{newline}", lines(2)))
        });
        let added = "<host name=\"new\" ip=\"10.9.9.9:80\"/>";
        let change = |config: &mut Config| group(config).hosts.push(host("new", "10.9.9.9:80"));
        becomes(&hosts(&lines(0)), change, &hosts(&format!("{}{added}{newline}", lines(0))));
        assert!(started.elapsed().as_secs() < 10, "took {:?}", started.elapsed());
    }
}
