//! There is no other door to an irreversible request: programs that try one do not compile.

#[test]
fn nothing_irreversible_can_be_sent_without_a_permit() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
