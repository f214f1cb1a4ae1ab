//! Chromium as a browser that rests.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use wharf_chrome::{CdpError, Launcher};
use wharf_domain::with_causes;

use super::{Spare, SpareBrowsers, Unfit, Wishes};
use crate::browser::{self, Exit};

impl SpareBrowsers for Arc<Launcher> {
    fn spare(&self, name: String, within: Duration) -> BoxFuture<'static, Result<Box<dyn Spare>, String>> {
        let launcher = Self::clone(self);
        let options = wharf_chrome::LaunchOptions {
            name,
            viewport: None,
            ignore_certificate_errors: false,
            deadline: within,
        };
        Box::pin(async move {
            match Launcher::launch(&launcher, options).await {
                Ok(browser) => Ok(Box::new(browser) as Box<dyn Spare>),
                Err(error) => Err(with_causes(&error)),
            }
        })
    }
}

impl Spare for wharf_chrome::Browser {
    fn exit(&self) -> BoxFuture<'static, Exit> {
        browser::end_of(wharf_chrome::Browser::exit(self)).boxed()
    }

    fn fit<'a>(&'a self, wishes: &'a Wishes) -> BoxFuture<'a, Result<(), Unfit>> {
        let viewport = wishes.viewport.map(browser::size).unwrap_or_default();
        let fitted = self.set_viewport(viewport);
        Box::pin(async move {
            fitted.await.map_err(|error| match error {
                CdpError::Refused { .. } => Unfit::Refused(with_causes(&error)),
                _ => Unfit::Broken(with_causes(&error)),
            })
        })
    }
}
