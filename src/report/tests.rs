//! The three reports of made-up runs.

use super::{Nights, html, markdown, synthetic, terminal, trend};
use crate::bench::design::Size;
use crate::bench::history::Entry;
use crate::bench::judge::{Word, judge};
use crate::bench::run::{PlaceKind, Run, Verdict};

const SIZES: [Size; 4] = [Size::Smoke, Size::Quick, Size::Standard, Size::Nightly];

/// Markup where a run has text of its own.
fn hostile() -> Run {
    let mut run = synthetic::invalid();
    let mark = |text: &mut String| text.push_str("<img src=x onerror=alert(1)>\"'&");
    for text in [&mut run.lab, &mut run.id, &mut run.started, &mut run.verdict.sentence] {
        mark(text);
    }
    run.verdict.because.push("</style><script>alert(1)</script>".into());
    for lane in &mut run.lanes {
        mark(&mut lane.title);
    }
    for gate in &mut run.gates {
        mark(&mut gate.name);
        mark(&mut gate.detail);
    }
    for measure in &mut run.measures {
        mark(&mut measure.route);
        mark(&mut measure.path);
    }
    mark(&mut run.environment.cpu);
    run.environment.versions.insert("<script>".into(), "<b>1</b>".into());
    run.environment.digests.insert("<script>".into(), "<b>2</b>".into());
    run
}

/// A run of servers on the host, which have neither a scheduler nor a sandbox.
fn local() -> Run {
    let mut run = synthetic::quick();
    run.place = PlaceKind::Local;
    for block in &mut run.blocks {
        let start = &mut block.start;
        (start.scheduling_ms, start.sandbox_ms) = (None, None);
        start.total_ms = start.container_ms + start.first_byte_ms;
        block.peak_kib = 0;
    }
    run.costs.clear();
    run
}

/// A page that parses as XML has every element closed and every text escaped.
fn parsed(page: &str) -> usize {
    let body = page.strip_prefix("<!doctype html>\n").unwrap();
    let document = roxmltree::Document::parse(body).unwrap_or_else(|error| panic!("{error}"));
    document.descendants().filter(|node| node.has_tag_name("svg")).count()
}

#[test]
fn the_terminal_shows_the_demos_table_first() {
    insta::assert_snapshot!(terminal(&synthetic::quick()));
}

#[test]
fn the_terminal_shows_no_ratio_of_an_invalid_run() {
    insta::assert_snapshot!(terminal(&synthetic::invalid()));
}

#[test]
fn markdown_shows_the_demos_table_first() {
    insta::assert_snapshot!(markdown(&synthetic::quick()));
}

#[test]
fn markdown_shows_no_ratio_of_an_invalid_run() {
    insta::assert_snapshot!(markdown(&synthetic::invalid()));
}

#[test]
fn one_round_is_a_first_look() {
    let text = terminal(&synthetic::of(Size::Smoke));
    assert!(text.contains("0.93 x") && text.contains("first look") && !text.contains("95 %"), "{text}");
}

#[test]
fn the_terminal_needs_no_more_than_a_hundred_columns() {
    for size in SIZES {
        let text = terminal(&synthetic::of(size));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}

#[test]
fn the_page_needs_nothing_else_and_stays_small() {
    for size in SIZES {
        let page = html(&synthetic::of(size), None).unwrap();
        assert!(page.len() < 1_000_000, "{size:?}: {} bytes", page.len());
        for outside in ["http:", "https:", "//www", "<script", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{size:?}: {outside}");
        }
        assert!(page.contains("requests per second, of Rust"));
        assert!(page.contains(r#"href="./2026-11-25T07-07-27Z.json""#));
        assert!(!page.contains(r#"class="invalid""#) && !page.contains("NaN"));
    }
}

#[test]
fn the_page_is_whole_and_has_its_plots() {
    let run = synthetic::of(Size::Standard);
    // Besides signs: four panels of ratios, and a spectrum per measure.
    let signs = run.lanes.len() + 2 * (run.lanes.len() - 1);
    assert_eq!(parsed(&html(&run, None).unwrap()), signs + 4 + run.measures.len());
}

#[test]
fn an_invalid_page_says_so_first() {
    let page = html(&synthetic::invalid(), None).unwrap();
    let says = page.find("These figures are no answer").unwrap();
    assert!(says < page.find("<h1").unwrap() && page.contains(r#"<body class="invalid">"#));
    assert!(page.contains(r#"<small class="bad">invalid</small>"#));
}

#[test]
fn nothing_in_a_run_becomes_markup() {
    let run = hostile();
    let page = html(&run, None).unwrap();
    parsed(&page);
    assert!(page.contains("&lt;img"));
    for markup in ["<img", "<script", "<b>", "</style><"] {
        assert!(!page.contains(markup), "{markup}");
        assert!(!markdown(&run).contains(markup), "{markup}");
    }
    let mut escapes = synthetic::quick();
    escapes.lanes[0].title = "\u{1b}[31mRust".into();
    escapes.verdict.sentence = "\u{1b}[2Jgone".into();
    assert!(!terminal(&escapes).contains('\u{1b}'));
}

#[test]
fn an_empty_run_is_told_too() {
    let mut run = synthetic::quick();
    run.verdict = Verdict { valid: false, sentence: "invalid, because nothing was measured".into(), because: vec![] };
    run.place = PlaceKind::Local;
    run.lanes.clear();
    run.measures.clear();
    run.blocks.clear();
    run.summary.clear();
    run.costs.clear();
    run.gates.clear();
    for text in [terminal(&run), markdown(&run), html(&run, None).unwrap()] {
        assert!(text.contains("nothing was measured"), "{text}");
    }
}

#[test]
fn what_a_place_does_not_have_is_left_out() {
    let (page, text) = (html(&local(), None).unwrap(), terminal(&local()));
    for absent in ["scheduling", "sandbox", "memory, peak", "one more replica"] {
        assert!(!page.contains(&format!(">{absent}<")), "{absent}");
    }
    assert!(page.contains(">first byte<") && !text.contains("peak memory") && text.contains("idle memory"), "{text}");
}

#[test]
fn an_emulated_machine_is_named() {
    let mut run = synthetic::quick();
    run.environment.emulated = true;
    for text in [terminal(&run), markdown(&run), html(&run, None).unwrap()] {
        assert!(text.contains("no KVM") && text.contains("bsolute times mean nothing"), "{text}");
    }
}

#[test]
fn a_histogram_that_cannot_be_read_is_named() {
    let mut run = synthetic::quick();
    run.summary[1].histogram_us_v2_base64 = "AAAA".into();
    let error = format!("{:#}", html(&run, None).unwrap_err());
    assert!(error.contains("measure tiny-close of native-again"), "{error}");
}

/// Twelve nights, the last three with a slower compiled lane.
fn nights(run: &Run) -> Vec<Entry> {
    let night = |index: usize| {
        let mut entry = Entry::of(run);
        entry.run = if index == 11 { run.id.clone() } else { format!("2026-11-{:02}T02-30-00Z", index + 1) };
        for series in entry.series.iter_mut().filter(|series| series.lane == "wasm-aot") {
            series.log.at += if index >= 9 && series.measure.starts_with("compute") { -0.08 } else { 0.0 };
            series.log.at += [0.004, -0.006, 0.002, -0.003][index % 4];
            series.log.error = 0.005;
        }
        entry
    };
    (0..12).map(night).collect()
}

#[test]
fn the_page_says_what_the_night_was_and_shows_the_nights_before() {
    let run = synthetic::of(Size::Nightly);
    let entries = nights(&run);
    let baseline = &entries[0].run;
    let judgement = judge(&entries, Some(baseline), &run.id).unwrap();
    assert_eq!(judgement.word, Word::Slower, "{judgement:?}");
    let around = Nights { entries: &entries, baseline: Some(baseline), judgement: Some(&judgement) };
    let page = html(&run, Some(&around)).unwrap();
    // Rate and CPU time of six closed loops.
    assert_eq!(parsed(&page), parsed(&html(&run, None).unwrap()) + 12);
    assert!(page.contains(r#"<div class="night bad"><strong>slower</strong>"#));
    let picture = trend(&run, &around).unwrap();
    let document = roxmltree::Document::parse(&picture).unwrap();
    assert_eq!(
        document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "svg"))).count(),
        13
    );
    // The first night has nothing before it.
    let alone = Nights { entries: &entries[..1], ..around };
    assert_eq!(trend(&run, &alone), None);
}

/// For whoever changes how a page looks: `cargo test pages_to_look_at -- --ignored`.
#[test]
#[ignore = "writes pages into target/report"]
fn pages_to_look_at() {
    let dir = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/report"));
    std::fs::create_dir_all(dir).unwrap();
    let runs = SIZES.map(|size| (size.name(), synthetic::of(size)));
    for (name, run) in
        runs.into_iter().chain([("local", local()), ("invalid", synthetic::invalid()), ("hostile", hostile())])
    {
        std::fs::write(dir.join(format!("{name}.html")), html(&run, None).unwrap()).unwrap();
    }
}
