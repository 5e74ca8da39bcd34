//! At which provider do people sign in?

use std::path::PathBuf;

use crate::access::Role;
use crate::error::{Error, Result};
use crate::server::{ProviderSettings, own_address};

/// OpenID Connect, as flags of `zhida serve`.
#[derive(Debug, clap::Args)]
// Its own name: `serve` has a group of flags called `Args` too.
#[group(id = "provider")]
pub(super) struct Args {
    /// Let people sign in at this OpenID provider, such as https://login.example/realms/shop.
    #[arg(long, value_name = "URL", requires_all = ["oidc_client_id", "public_url"], env = "ZHIDA_OIDC_ISSUER")]
    oidc_issuer: Option<String>,
    /// Who this server is at the provider.
    #[arg(long, value_name = "ID", requires = "oidc_issuer", env = "ZHIDA_OIDC_CLIENT_ID")]
    oidc_client_id: Option<String>,
    /// The file with the secret that proves it; a public client has none.
    #[arg(long, value_name = "FILE", requires = "oidc_issuer", env = "ZHIDA_OIDC_CLIENT_SECRET_FILE")]
    oidc_client_secret_file: Option<PathBuf>,
    /// This server's own address as browsers see it, such as https://faq.example, when
    /// a proxy calls it by another one; an OpenID provider sends people back to its
    /// /v1/oidc/callback.
    #[arg(long, value_name = "URL", value_parser = own_address, env = "ZHIDA_PUBLIC_URL")]
    public_url: Option<String>,
    /// Ask the provider for this scope beside openid, profile and email; may be repeated.
    #[arg(long, value_name = "SCOPE", requires = "oidc_issuer")]
    oidc_scope: Vec<String>,
    /// The claim that is somebody's name here.
    #[arg(long, value_name = "CLAIM", default_value = "preferred_username")]
    oidc_name_claim: String,
    /// The claim that names somebody's tenant, when people of several sign in at the
    /// same provider; whoever has none is not let in then. Without this, all belong to
    /// the tenant that owns the data directory.
    #[arg(long, value_name = "CLAIM", requires = "oidc_issuer")]
    oidc_tenant_claim: Option<String>,
    /// The claim whose values say what somebody is for; dots lead inside.
    #[arg(long, value_name = "CLAIM", default_value = "roles")]
    oidc_role_claim: String,
    /// Which value of that claim means which role, such as agent=kefu; may be repeated.
    /// Without any, only people may come whom `zhida person create --provider` made.
    #[arg(long, value_name = "ROLE=VALUE", value_parser = mapping, requires = "oidc_issuer")]
    oidc_role: Vec<(Role, String)>,
}

fn mapping(text: &str) -> std::result::Result<(Role, String), String> {
    let read = || {
        let (role, value) = text.split_once('=')?;
        Some((Role::named(role)?, (!value.is_empty()).then(|| value.to_owned())?))
    };
    read().ok_or_else(|| "a mapping is a role, `=` and a value of the claim, such as agent=kefu".to_owned())
}

impl Args {
    /// This server's own address as browsers see it.
    pub(super) fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// What the flags say together; `None` without a provider.
    pub(super) fn settings(&self) -> Result<Option<ProviderSettings>> {
        let (Some(issuer), Some(client_id), Some(public_url)) =
            (&self.oidc_issuer, &self.oidc_client_id, &self.public_url)
        else {
            return Ok(None);
        };
        let secret = match &self.oidc_client_secret_file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
                if text.trim().is_empty() {
                    let message = format!("--oidc-client-secret-file: {} is empty", path.display());
                    return Err(Error::Refused(message));
                }
                Some(text.trim().to_owned())
            }
        };
        let settings = ProviderSettings {
            issuer: issuer.clone(),
            client_id: client_id.clone(),
            client_secret: secret,
            public_url: public_url.clone(),
            scopes: self.oidc_scope.clone(),
            name_claim: self.oidc_name_claim.clone(),
            role_claim: self.oidc_role_claim.clone(),
            tenant_claim: self.oidc_tenant_claim.clone(),
            roles: self.oidc_role.clone(),
        };
        settings.checked().map(Some)
    }
}
