//! How the registries that people use ask for a log-in, replayed: each challenge, question and answer as the vendor's
//! documentation (named with each) or its public endpoint shows them, with the host and the port of the test's own server.

use super::fake::{Answer, Fake, settings_with};
use super::*;
use crate::image::Reference;

/// A vendor's front.
struct Front {
    /// `HOST` stands for the server.
    challenge: &'static str,
    /// The entry of `config.json` under the registry's name.
    log_in: &'static str,
    repository: &'static str,
    /// What the token server answers a log-in; `None` where there is none.
    token: Option<&'static str>,
    /// The `Authorization` that opens the repository.
    opens: &'static str,
}

/// What the registry and its token server were asked, up to the manifest.
async fn replay(front: Front) -> String {
    let Front {
        challenge,
        log_in,
        repository,
        token,
        opens,
    } = front;
    let fake = Fake::start(move |request| {
        let given = request.headers.get("authorization").map(String::as_str);
        if !request.path.contains("/manifests/") {
            return match token {
                Some(token) => Answer::new(200, token),
                None => Answer::not_found(),
            };
        }
        if given == Some(opens) {
            return Answer::new(200, "{}");
        }
        let challenge = challenge.replace("HOST", &format!("http://{}", request.headers["host"]));
        Answer::new(
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
        )
        .header("WWW-Authenticate", challenge)
    })
    .await;
    let settings = settings_with(&format!(r#"{{"auths":{{"{}":{log_in}}}}}"#, fake.host()));
    let reference: Reference = format!("{}/{repository}:1", fake.host()).parse().unwrap();
    let client = Client::new(&settings).unwrap();
    let end = match client.manifest(&reference).await {
        Ok(fetched) => format!("{} bytes", fetched.bytes.len()),
        Err(error) => error.to_string(),
    };
    format!("{}\n{end}", fake.log()).replace(&fake.address.port().to_string(), "PORT")
}

/// docs.docker.com, "Registry authentication": anybody gets a token; a log-in raises the quota.
#[tokio::test]
async fn docker_hub_gives_a_token_to_anybody() {
    let front = |log_in| Front {
        challenge: r#"Bearer realm="HOST/token",service="registry.docker.io",scope="repository:library/debian:pull""#,
        log_in,
        repository: "library/debian",
        token: Some(
            r#"{"token":"HUB","access_token":"HUB","expires_in":300,"issued_at":"2024-01-01T00:00:00.000000000Z"}"#,
        ),
        opens: "Bearer HUB",
    };
    insta::assert_snapshot!(replay(front("{}")).await, @r"
    GET /v2/library/debian/manifests/1
    GET /token?service=registry.docker.io&scope=repository%3Alibrary%2Fdebian%3Apull
    GET /v2/library/debian/manifests/1 [authorization: Bearer HUB]
    2 bytes
    ");
    // A personal access token is a password: `me:dckr_pat_x`.
    insta::assert_snapshot!(replay(front(r#"{"auth":"bWU6ZGNrcl9wYXRfeA=="}"#)).await, @r"
    GET /v2/library/debian/manifests/1
    GET /token?service=registry.docker.io&scope=repository%3Alibrary%2Fdebian%3Apull [authorization: Basic bWU6ZGNrcl9wYXRfeA==]
    GET /v2/library/debian/manifests/1 [authorization: Bearer HUB]
    2 bytes
    ");
}

/// docs.gitlab.com, "Container registry", and `docker login` with `$CI_REGISTRY_USER` or a deploy token.
#[tokio::test]
async fn gitlab_asks_its_own_application_for_the_token() {
    let front = Front {
        challenge: r#"Bearer realm="HOST/jwt/auth",service="container_registry",scope="repository:group/project/image:pull",error="invalid_token""#,
        log_in: r#"{"username":"gitlab-ci-token","password":"job"}"#,
        repository: "group/project/image",
        token: Some(r#"{"token":"GITLAB"}"#),
        opens: "Bearer GITLAB",
    };
    insta::assert_snapshot!(replay(front).await, @r"
    GET /v2/group/project/image/manifests/1
    GET /jwt/auth?service=container_registry&scope=repository%3Agroup%2Fproject%2Fimage%3Apull [authorization: Basic Z2l0bGFiLWNpLXRva2VuOmpvYg==]
    GET /v2/group/project/image/manifests/1 [authorization: Bearer GITLAB]
    2 bytes
    ");
}

/// docs.aws.amazon.com, "Private registry authentication": the user is `AWS`, the password a token of 12 hours.
#[tokio::test]
async fn ecr_wants_the_password_itself() {
    let front = Front {
        challenge: r#"Basic realm="HOST/",service="ecr.amazonaws.com""#,
        log_in: r#"{"username":"AWS","password":"hours"}"#,
        repository: "team/app",
        token: None,
        opens: "Basic QVdTOmhvdXJz",
    };
    insta::assert_snapshot!(replay(front).await, @r"
    GET /v2/team/app/manifests/1
    GET /v2/team/app/manifests/1 [authorization: Basic QVdTOmhvdXJz]
    2 bytes
    ");
}

/// learn.microsoft.com, "Authenticate with an Azure container registry", and Azure/acr, docs/AAD-OAuth.md: `az acr login`
/// leaves a refresh token under a user of zeros.
#[tokio::test]
async fn acr_changes_an_identity_token_for_an_access_token() {
    let front = |log_in| Front {
        challenge: r#"Bearer realm="HOST/oauth2/token",service="myregistry.azurecr.io",scope="repository:hello-world:pull""#,
        log_in,
        repository: "hello-world",
        token: Some(r#"{"access_token":"ACR"}"#),
        opens: "Bearer ACR",
    };
    let refresh = r#"{"auth":"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==","identitytoken":"REFRESH"}"#;
    insta::assert_snapshot!(replay(front(refresh)).await, @r"
    GET /v2/hello-world/manifests/1
    POST /oauth2/token grant_type=refresh_token&refresh_token=REFRESH&client_id=slipway&scope=repository%3Ahello-world%3Apull&service=myregistry.azurecr.io
    GET /v2/hello-world/manifests/1 [authorization: Bearer ACR]
    2 bytes
    ");
    // A service principal has a password.
    insta::assert_snapshot!(replay(front(r#"{"username":"principal","password":"p"}"#)).await, @r"
    GET /v2/hello-world/manifests/1
    GET /oauth2/token?service=myregistry.azurecr.io&scope=repository%3Ahello-world%3Apull [authorization: Basic cHJpbmNpcGFsOnA=]
    GET /v2/hello-world/manifests/1 [authorization: Bearer ACR]
    2 bytes
    ");
}

/// cloud.google.com, "Authentication methods" of Artifact Registry: a key file is the password of `_json_key`, an access
/// token that of `oauth2accesstoken`.
#[tokio::test]
async fn google_takes_key_files_and_access_tokens_as_passwords() {
    let front = |log_in| Front {
        challenge: r#"Bearer realm="HOST/v2/token",service="us-docker.pkg.dev",scope="repository:project/repo/image:pull""#,
        log_in,
        repository: "project/repo/image",
        token: Some(r#"{"expires_in":3600,"issued_at":"2024-01-01T00:00:00Z","token":"GOOGLE"}"#),
        opens: "Bearer GOOGLE",
    };
    let key = r#"{"username":"_json_key","password":"{\n  \"type\": \"service_account\"\n}\n"}"#;
    insta::assert_snapshot!(replay(front(key)).await, @r"
    GET /v2/project/repo/image/manifests/1
    GET /v2/token?service=us-docker.pkg.dev&scope=repository%3Aproject%2Frepo%2Fimage%3Apull [authorization: Basic X2pzb25fa2V5OnsKICAidHlwZSI6ICJzZXJ2aWNlX2FjY291bnQiCn0K]
    GET /v2/project/repo/image/manifests/1 [authorization: Bearer GOOGLE]
    2 bytes
    ");
    let token = r#"{"username":"oauth2accesstoken","password":"ya29.x"}"#;
    assert!(replay(front(token)).await.ends_with("2 bytes"));
}

/// jfrog.com, "Docker registry": the token server is a path of the registry, and no scope is named; older ones want the
/// password.
#[tokio::test]
async fn jfrog_names_no_scope() {
    let log_in = r#"{"username":"me","password":"key"}"#;
    let front = Front {
        challenge: r#"Bearer realm="HOST/artifactory/api/docker/docker-local/v2/token",service="acme.jfrog.io""#,
        log_in,
        repository: "docker-local/app",
        token: Some(r#"{"token":"JFROG","expires_in":3600}"#),
        opens: "Bearer JFROG",
    };
    insta::assert_snapshot!(replay(front).await, @r"
    GET /v2/docker-local/app/manifests/1
    GET /artifactory/api/docker/docker-local/v2/token?service=acme.jfrog.io&scope=repository%3Adocker-local%2Fapp%3Apull [authorization: Basic bWU6a2V5]
    GET /v2/docker-local/app/manifests/1 [authorization: Bearer JFROG]
    2 bytes
    ");
    let front = Front {
        challenge: r#"Basic realm="Artifactory Realm""#,
        log_in,
        repository: "docker-local/app",
        token: None,
        opens: "Basic bWU6a2V5",
    };
    assert!(replay(front).await.ends_with("2 bytes"));
}

/// goharbor.io, "Create Robot Accounts": a robot's name has a `$`, and one of the two tokens is empty.
#[tokio::test]
async fn harbor_leaves_one_of_its_tokens_empty() {
    let front = Front {
        challenge: r#"Bearer realm="HOST/service/token",service="harbor-registry",scope="repository:library/hello-world:pull""#,
        log_in: r#"{"username":"robot$library+ci","password":"secret"}"#,
        repository: "library/hello-world",
        token: Some(
            r#"{"token":"HARBOR","access_token":"","expires_in":1800,"issued_at":"2024-01-01T00:00:00Z"}"#,
        ),
        opens: "Bearer HARBOR",
    };
    insta::assert_snapshot!(replay(front).await, @r"
    GET /v2/library/hello-world/manifests/1
    GET /service/token?service=harbor-registry&scope=repository%3Alibrary%2Fhello-world%3Apull [authorization: Basic cm9ib3QkbGlicmFyeStjaTpzZWNyZXQ=]
    GET /v2/library/hello-world/manifests/1 [authorization: Bearer HARBOR]
    2 bytes
    ");
}

/// docs.projectquay.io, "Robot accounts": a robot's name has a `+`.
#[tokio::test]
async fn quay_has_its_token_server_below_v2() {
    let front = Front {
        challenge: r#"Bearer realm="HOST/v2/auth",service="quay.io",scope="repository:org/image:pull""#,
        log_in: r#"{"username":"org+robot","password":"secret"}"#,
        repository: "org/image",
        token: Some(r#"{"token":"QUAY"}"#),
        opens: "Bearer QUAY",
    };
    insta::assert_snapshot!(replay(front).await, @r"
    GET /v2/org/image/manifests/1
    GET /v2/auth?service=quay.io&scope=repository%3Aorg%2Fimage%3Apull [authorization: Basic b3JnK3JvYm90OnNlY3JldA==]
    GET /v2/org/image/manifests/1 [authorization: Bearer QUAY]
    2 bytes
    ");
}

/// docs.github.com, "Working with the Container registry".
#[tokio::test]
async fn github_refuses_a_token_that_does_not_open_the_image() {
    let front = Front {
        challenge: r#"Bearer realm="HOST/token",service="ghcr.io",scope="repository:user/image:pull""#,
        log_in: r#"{"username":"user","password":"ghp_x"}"#,
        repository: "user/image",
        token: Some(r#"{"token":"GHCR"}"#),
        opens: "Bearer another",
    };
    insta::assert_snapshot!(replay(front).await, @r"
    GET /v2/user/image/manifests/1
    GET /token?service=ghcr.io&scope=repository%3Auser%2Fimage%3Apull [authorization: Basic dXNlcjpnaHBfeA==]
    GET /v2/user/image/manifests/1 [authorization: Bearer GHCR]
    127.0.0.1:PORT/user/image:1 at http://127.0.0.1:PORT/v2/user/image/manifests/1: access denied (401: authentication required); log in, or check the image's name
    ");
}
