//! The table of operations against the overview of the reference, and the common authorizer against its rule.

use std::collections::{BTreeMap, BTreeSet};

use lineside_protocol::rest::{
    ApiVersion, Authorizer, HandlerNeed, Item, Operation, PathError, Payload, RouteError, Verb, is_allowed,
};
use lineside_terms::{Capability, Effect, ManufacturingState};
use proptest::prelude::*;

/// `device-rest-api.md` 3.1, one line each: verb, path, check (O open, R REST allowed, D app development), first
/// version where known, status of success, kind of answer, statuses of failure. For two rows the specification
/// rules over the vendor's clients (4.3.0).
const OVERVIEW: &str = "\
GET /abi_versions O 3.1.0 200 json 500
GET /app/status/{cid} R 2.0.0 200 json -
PATCH /app/status/{cid} R 2.0.0 200 json 400 409 415 500
DELETE /app/image/{cid} R - 200 json 400 500
GET /app/quota/{cid} R 3.1.0 200 json 400 404 500
GET /certstore/certs R - 200 json 500
GET /certstore/certs/{id} R - 200 json 400 404 500
POST /certstore/certs/{id} R - 200 json 400 415 500
DELETE /certstore/certs/{id} R - 200 json 400 404 500
GET /certstore/space R - 200 json 500
GET /device/capabilities O 3.1.0 200 json 500
GET /device/security_state O - 200 json 500
GET /device/manufacturing_state O 3.1.0 200 json 500
PUT /device/manufacturing_state R 3.1.0 200 json 400 404 415 500
GET /images R - 200 json 500
GET /log R 1.2.0 200 octets 500
GET /net/firewall/rulesets R 4.1.0 200 json 500
GET /net/interfaces R 3.1.0 200 json 500
GET /net/interfaces/{name} R 3.1.0 200 json 404 500
PATCH /net/interfaces/{name} R 4.3.0 200 json 400 404 415 500
GET /net/proxy R - 200 json 500
POST /net/proxy R - 200 json 400 500
DELETE /net/proxy R - 200 json 500
GET /net/status O 3.1.0 200 json 500
GET /osversion O 4.5.0 200 json 500
POST /restart R - 200 json 400 415 500
GET /stats/memory/groups/applications D 4.3.0 200 json 500
GET /status O - 200 json 500
GET /telemetry R 3.1.0 200 octets 500
DELETE /telemetry R - 200 json 400 500
POST /update/install R 3.0.0 200 json 400 415 500
PUT /update/stage R 3.0.0 200 json 400 415 500
GET /wifi/config/networks R - 200 json 500
POST /wifi/config/networks R - 201 json 400 415 500
GET /wifi/config/networks/{id} R - 200 json 404 500
PATCH /wifi/config/networks/{id} R - 200 json 400 404 415 500
DELETE /wifi/config/networks/{id} R 3.0.0 200 json 400 404 500
GET /wifi/diagnostics/networks R - 200 json 500
GET /wifi/diagnostics/networks/{id} R - 200 json 404 500
GET /wifi/interface R - 200 json 500
PATCH /wifi/interface R - 200 json 400 415 500
GET /wifi/scan R - 200 json 500
";

#[test]
fn the_table_says_what_the_reference_says() {
    assert_eq!(OVERVIEW.lines().count(), Operation::ALL.len());
    for (operation, line) in Operation::ALL.into_iter().zip(OVERVIEW.lines()) {
        let spec = operation.spec();
        assert_eq!(spec.operation, operation);
        let check = match spec.authorizer {
            Authorizer::Open => "O",
            Authorizer::RestAllowed => "R",
            Authorizer::AppDevelopment => "D",
        };
        let since = spec
            .since
            .map_or_else(|| "-".to_owned(), |version| version.to_string());
        let answer = match spec.answer {
            Payload::Octets => "octets",
            Payload::Json => "json",
            other => panic!("{operation} answers {other:?}"),
        };
        let errors = match spec.errors {
            [] => "-".to_owned(),
            errors => errors.iter().map(u16::to_string).collect::<Vec<_>>().join(" "),
        };
        let told = format!("{operation} {check} {since} {} {answer} {errors}", spec.success);
        assert_eq!(told, line);
    }
}

#[test]
fn there_are_42_operations_on_30_paths_and_8_of_them_are_exempt_from_the_common_check() {
    let specs = Operation::ALL.map(Operation::spec);
    assert_eq!(specs.len(), 42);
    assert_eq!(
        specs.iter().map(|spec| spec.path).collect::<BTreeSet<_>>().len(),
        30
    );
    assert_eq!(
        specs
            .iter()
            .map(|spec| (spec.verb.as_str(), spec.path))
            .collect::<BTreeSet<_>>()
            .len(),
        42
    );
    let count = |authorizer| specs.iter().filter(|spec| spec.authorizer == authorizer).count();
    assert_eq!(count(Authorizer::Open), 7);
    assert_eq!(count(Authorizer::AppDevelopment), 1);
    assert_eq!(count(Authorizer::RestAllowed), 34);
    // Nothing that is open changes anything.
    assert!(
        specs
            .iter()
            .all(|spec| spec.authorizer == Authorizer::RestAllowed || spec.verb == Verb::Get)
    );
}

#[test]
fn effects_fit_verbs_and_one_operation_is_irreversible() {
    for spec in Operation::ALL.map(Operation::spec) {
        assert_eq!(
            spec.verb == Verb::Get,
            spec.effect == Effect::Reads,
            "{}",
            spec.operation
        );
        assert_eq!(
            spec.effect == Effect::Irreversible,
            spec.operation == Operation::SetManufacturingState,
            "{}",
            spec.operation
        );
        assert_eq!(
            spec.success == 201,
            spec.operation == Operation::AddWifiNetwork,
            "{}",
            spec.operation
        );
        // Only what takes JSON can have a wrong media type, but for the two whose type is checked all the same.
        if spec.errors.contains(&415) && !matches!(spec.operation, Operation::Restart | Operation::Stage) {
            assert!(
                matches!(spec.request, Payload::Json | Payload::OptionalJson),
                "{}",
                spec.operation
            );
        }
        if spec.verb == Verb::Get || spec.verb == Verb::Delete {
            assert_eq!(spec.request, Payload::None, "{}", spec.operation);
        }
        assert!(
            !spec.summary.is_empty() && !spec.summary.ends_with('.'),
            "{}",
            spec.operation
        );
    }
    let needs = |need| {
        Operation::ALL
            .into_iter()
            .filter(|operation| operation.spec().handler == need)
            .collect::<Vec<_>>()
    };
    assert_eq!(needs(HandlerNeed::AppDevelopment), [Operation::ControlApp]);
    assert_eq!(
        needs(HandlerNeed::TrustedImage),
        [Operation::Install, Operation::Stage]
    );
    assert_eq!(needs(HandlerNeed::DeletePolicy), [Operation::DeleteImage]);
    assert_eq!(
        needs(HandlerNeed::ForwardState),
        [Operation::SetManufacturingState]
    );
    assert_eq!(needs(HandlerNeed::WifiUp).len(), 8);
}

/// Every operation in every state under every set of the three capabilities of customers.
#[test]
fn the_common_check_lets_through_what_the_reference_says() {
    use ManufacturingState::{Blank, DeviceComplete, Module1Complete};
    let rights = [
        Capability::APP_DEVELOPMENT,
        Capability::RF_TEST_MODE,
        Capability::FIELD_SERVICING,
    ];
    let mut allowed = BTreeMap::<(ManufacturingState, u8), usize>::new();
    for state in [Blank, Module1Complete, DeviceComplete] {
        for set in 0..8_u8 {
            let held: Vec<_> = (0..3)
                .filter(|bit| set >> bit & 1 == 1)
                .map(|bit| rights[bit])
                .collect();
            let count = Operation::ALL
                .into_iter()
                .filter(|it| is_allowed(it.spec(), state, &held))
                .count();
            allowed.insert((state, set), count);
        }
    }
    for (&(state, set), &count) in &allowed {
        let (development, servicing) = (set & 1 != 0, set & 4 != 0);
        let expected = match (state, development, servicing) {
            (_, true, _) => 42,
            (DeviceComplete, false, false) => 7,
            // All but the memory statistics.
            _ => 41,
        };
        assert_eq!(count, expected, "{state} with set {set:03b}");
    }
    // RF test mode opens nothing here.
    assert_eq!(allowed[&(DeviceComplete, 0b010)], 7);
    let open: BTreeSet<_> = Operation::ALL
        .into_iter()
        .filter(|it| is_allowed(it.spec(), DeviceComplete, &[]))
        .map(|it| it.to_string())
        .collect();
    assert_eq!(
        open.iter().map(String::as_str).collect::<Vec<_>>(),
        [
            "GET /abi_versions",
            "GET /device/capabilities",
            "GET /device/manufacturing_state",
            "GET /device/security_state",
            "GET /net/status",
            "GET /osversion",
            "GET /status",
        ]
    );
}

/// `device-rest-api.md` 3.1: the 20.05 handler table has 31 rows of verb and path prefix, all but the later
/// additions.
#[test]
fn old_firmware_has_31_handlers() {
    let rows: BTreeSet<_> = Operation::ALL
        .into_iter()
        .filter(|operation| operation.is_served(ApiVersion::OS_20_05))
        .map(|operation| {
            let spec = operation.spec();
            let prefix = spec.path.split_once("/{").map_or(spec.path, |(prefix, _)| prefix);
            (spec.verb.as_str(), prefix)
        })
        .collect();
    assert_eq!(rows.len(), 31, "{rows:#?}");
    assert!(
        Operation::ALL
            .into_iter()
            .all(|operation| operation.is_served(ApiVersion::OS_24_06))
    );
    assert!(!Operation::GetOsVersion.is_served(ApiVersion::OS_20_05));
}

#[test]
fn paths_name_their_item_and_requests_find_their_way() {
    let component = "2f074b0f-d99d-4692-82d9-ef93a7d6463c";
    assert_eq!(
        Operation::GetAppStatus.path(Some(component)).unwrap(),
        format!("/app/status/{component}")
    );
    assert_eq!(
        Operation::DeleteWifiNetwork.path(Some("3")).unwrap(),
        "/wifi/config/networks/3"
    );
    assert_eq!(Operation::GetImages.path(None).unwrap(), "/images");
    assert_eq!(
        Operation::GetCert.path(Some("a/b?c d%é")).unwrap(),
        "/certstore/certs/a%2Fb%3Fc%20d%25%C3%A9"
    );
    assert_eq!(
        Operation::GetCert.path(None),
        Err(PathError::ItemMissing(Operation::GetCert))
    );
    assert_eq!(
        Operation::GetCerts.path(Some("a")),
        Err(PathError::ItemNotTaken(Operation::GetCerts))
    );
    for item in ["", ".", ".."] {
        assert_eq!(
            Operation::GetCert.path(Some(item)),
            Err(PathError::ItemUnnameable(Operation::GetCert))
        );
    }

    assert_eq!(
        Operation::route("GET", "/wifi/config/networks"),
        Ok((Operation::GetWifiNetworks, None))
    );
    assert_eq!(
        Operation::route("GET", "/net/interfaces/wlan0"),
        Ok((Operation::GetInterface, Some("wlan0".to_owned())))
    );
    assert_eq!(
        Operation::route("DELETE", "/app/image/%41B"),
        Ok((Operation::DeleteImage, Some("AB".to_owned())))
    );
    for (method, target, error) in [
        ("GET", "/", RouteError::NotFound),
        ("GET", "", RouteError::NotFound),
        ("GET", "/status/", RouteError::NotFound),
        ("GET", "/status?x=1", RouteError::NotFound),
        ("GET", "/Status", RouteError::NotFound),
        ("GET", "/statuses", RouteError::NotFound),
        ("GET", "/app/status", RouteError::NotFound),
        ("GET", "/app/status/", RouteError::NotFound),
        ("GET", "/app/status/a/b", RouteError::NotFound),
        ("GET", "/certstore/certs/%2", RouteError::NotFound),
        ("GET", "/certstore/certs/%zz", RouteError::NotFound),
        ("GET", "/certstore/certs/%+1", RouteError::NotFound),
        ("GET", "/certstore/certs/%FF", RouteError::NotFound),
        ("POST", "/status", RouteError::WrongVerb),
        ("HEAD", "/status", RouteError::WrongVerb),
        ("get", "/status", RouteError::WrongVerb),
        ("OPTIONS", "/nothing", RouteError::NotFound),
        ("GET", "/app/image/x", RouteError::WrongVerb),
        ("PATCH", "/images", RouteError::WrongVerb),
    ] {
        assert_eq!(Operation::route(method, target), Err(error), "{method} {target}");
    }
}

#[test]
fn items_are_of_the_kind_that_the_path_says() {
    let of = |item| {
        Operation::ALL
            .into_iter()
            .filter(|it| it.spec().item() == Some(item))
            .count()
    };
    assert_eq!(of(Item::Component), 4);
    assert_eq!(of(Item::Certificate), 3);
    assert_eq!(of(Item::Interface), 2);
    assert_eq!(of(Item::Network), 4);
    assert_eq!(
        Operation::ALL
            .into_iter()
            .filter(|it| it.spec().item().is_none())
            .count(),
        29
    );
}

proptest! {
    #[test]
    fn every_path_leads_back_to_its_operation(index in 0_usize..42, item in "\\PC{1,40}|.{1,8}") {
        let operation = Operation::ALL[index];
        let spec = operation.spec();
        let item = spec.item().map(|_| item).filter(|item| item != "." && item != "..");
        prop_assume!(spec.item().is_some() == item.is_some());
        let path = operation.path(item.as_deref()).unwrap();
        prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(Operation::route(spec.verb.as_str(), &path), Ok((operation, item)));
    }

    #[test]
    fn any_request_is_answered(method in "[A-Z]{0,8}", target in ".{0,60}", tail in ".{0,20}") {
        let _ = Operation::route(&method, &target);
        for prefix in ["/certstore/certs/", "/wifi/config/networks/", "/status", "/app/image/"] {
            let _ = Operation::route(&method, &format!("{prefix}{tail}"));
        }
    }
}
