//! Chromium's command line. Every flag stands here with its reason; a flag without one has no place.

use crate::jail::InitProgram;
use std::path::Path;

/// How the browser is kept from its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Isolation {
    /// Chromium's own sandbox within namespaces of its own, with no way to the network but a proxy of ours.
    Jail(InitProgram),
    /// Chromium's own sandbox: renderers without file system, network or other users' processes.
    Process,
    /// `--no-sandbox`: a page that breaks a renderer has the browser's user. Only ever by explicit choice.
    None,
}

/// The size of a page's content area in CSS pixels: `innerWidth` and `innerHeight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewport {
    /// `window.innerWidth`.
    pub width: u32,
    /// `window.innerHeight`.
    pub height: u32,
}

impl Default for Viewport {
    /// 1280x720, the default of the common automation libraries.
    fn default() -> Viewport {
        Viewport {
            width: 1280,
            height: 720,
        }
    }
}

/// What varies from one launch to the next.
#[derive(Debug)]
pub(crate) struct FlagOptions<'a> {
    /// Chromium's own.
    pub(crate) sandbox: bool,
    /// The one way out, a port of its loopback.
    pub(crate) proxy: Option<u16>,
    pub(crate) user_data: &'a Path,
    pub(crate) viewport: Viewport,
    pub(crate) ignore_certificate_errors: bool,
    pub(crate) small_shared_memory: bool,
}

/// Tabs and address bar above the content, in pixels (Chromium 156). Only a first guess that saves a resize:
/// the size is set exactly over the pipe once the page is there.
const WINDOW_CHROME_HEIGHT: u32 = 87;

/// The screen a page sees at least, so that its window does not exceed it.
const SCREEN: Viewport = Viewport {
    width: 1920,
    height: 1080,
};

/// Bytes of HTTP cache. The profile may live in memory, where Chromium's own choice (a part of the free space)
/// would be paid by the neighbours.
const DISK_CACHE_SIZE: u32 = 64 << 20;

/// The same for every launch.
const FIXED: &[&str] = &[
    // The whole browser, without a display. Extensions work, unlike in the headless shell.
    "--headless=new",
    // Clients connect to the port, which the kernel chooses. The pipe is ours: nobody else can reach it, and
    // Chromium exits by itself when it closes, so a killed parent leaves no browser.
    "--remote-debugging-port=0",
    "--remote-debugging-pipe",
    // No dialogs and no pages but ours.
    "--no-first-run",
    "--no-default-browser-check",
    "--noerrdialogs",
    "--disable-search-engine-choice-screen",
    "--disable-prompt-on-repost",
    // No traffic of Chromium's own: it would count as the session's, and some of it reports home.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--metrics-recording-only",
    // An update of components at the start, which the flags above leave. Port 9 is one that Chromium refuses to ask.
    // What still goes out are three or four questions to accounts.google.com, whether somebody is signed in: the one
    // flag that moves them, --gaia-url, shows a bar.
    "--component-updater=url-source=http://127.0.0.1:9/",
    // Crash dumps hold page contents. The handler processes start all the same (they leave the process group,
    // see `process`): the one flag that stops them, --disable-crashpad-for-testing, makes the network service
    // of Chromium 156 crash in a loop ("FD ownership violation").
    "--disable-breakpad",
    "--disable-crash-reporter",
    // UDP would pass by an HTTP proxy, so its bytes would be neither filtered nor counted.
    "--disable-quic",
    // The omnibox pop-ups are two hidden pages with a renderer each: 45 MB PSS per browser (843 -> 664 MB for
    // four), and they show up as targets. The others ask Google's servers, one of them for the time, or look for devices on the network.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,Translate,OptimizationHints,MediaRouter,\
     DialMediaRouteProvider,NetworkTimeServiceQuerying",
    // A page must run at full speed whether or not it is the one in front: there is nobody in front.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    // Passwords are encrypted with the key chain of the desktop, which does not exist and would be asked for.
    "--password-store=basic",
    // There is no sound card, and every error of opening one is a line on stderr.
    "--mute-audio",
];

/// The screen of a browser whose page has this size.
pub(crate) fn screen_for(viewport: Viewport) -> Viewport {
    Viewport {
        width: viewport.width.max(SCREEN.width),
        height: viewport
            .height
            .saturating_add(WINDOW_CHROME_HEIGHT)
            .max(SCREEN.height),
    }
}

/// The whole command line, without the binary.
pub(crate) fn build(options: &FlagOptions<'_>) -> Vec<String> {
    let Viewport { width, height } = options.viewport;
    let outer_height = height.saturating_add(WINDOW_CHROME_HEIGHT);
    let Viewport {
        width: screen_width,
        height: screen_height,
    } = screen_for(options.viewport);
    let mut flags: Vec<String> = FIXED.iter().map(|&flag| flag.to_owned()).collect();
    flags.push(format!("--user-data-dir={}", options.user_data.display()));
    flags.push(format!("--disk-cache-size={DISK_CACHE_SIZE}"));
    flags.push(format!("--screen-info={{{screen_width}x{screen_height}}}"));
    flags.push(format!("--window-size={width},{outer_height}"));
    if options.ignore_certificate_errors {
        flags.push("--ignore-certificate-errors".to_owned());
    }
    if options.small_shared_memory {
        // A container's /dev/shm of 64 MiB is full after a few tabs, and a renderer then dies of SIGBUS.
        flags.push("--disable-dev-shm-usage".to_owned());
    }
    if let Some(port) = options.proxy {
        flags.push(format!("--proxy-server=http://127.0.0.1:{port}"));
        // Loopback as well: the jail's own is empty but for DevTools, and a developer's is reached by the proxy.
        flags.push("--proxy-bypass-list=<-loopback>".to_owned());
        // Else WebRTC tries addresses of the jail, which lead nowhere, before it gives up.
        flags.push("--force-webrtc-ip-handling-policy=disable_non_proxied_udp".to_owned());
    }
    if !options.sandbox {
        flags.push("--no-sandbox".to_owned());
    }
    // Else the New Tab page is loaded: 54 ms until the first page, and 130 MB.
    flags.push("about:blank".to_owned());
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> FlagOptions<'static> {
        FlagOptions {
            sandbox: true,
            proxy: None,
            user_data: Path::new("/profile"),
            viewport: Viewport::default(),
            ignore_certificate_errors: false,
            small_shared_memory: false,
        }
    }

    #[test]
    fn chromiums_own_walls_stay_up() {
        let flags = build(&options());
        let lowered = [
            "--no-sandbox",
            "--no-zygote",
            "--disable-web-security",
            "--ignore-certificate-errors",
        ];
        for flag in &flags {
            assert!(!lowered.iter().any(|wall| flag.starts_with(wall)), "{flag}");
            assert!(
                !flag.contains("SitePerProcess") && !flag.contains("IsolateOrigins"),
                "{flag}"
            );
        }
    }

    #[test]
    fn each_choice_adds_its_flag() {
        let none = FlagOptions {
            sandbox: false,
            ..options()
        };
        assert!(build(&none).contains(&"--no-sandbox".to_owned()));
        let proxied = FlagOptions {
            proxy: Some(3128),
            ..options()
        };
        assert!(build(&proxied).contains(&"--proxy-server=http://127.0.0.1:3128".to_owned()));
        let certificates = FlagOptions {
            ignore_certificate_errors: true,
            ..options()
        };
        assert!(build(&certificates).contains(&"--ignore-certificate-errors".to_owned()));
        let small = FlagOptions {
            small_shared_memory: true,
            ..options()
        };
        assert!(build(&small).contains(&"--disable-dev-shm-usage".to_owned()));
    }

    #[test]
    fn the_screen_is_never_smaller_than_the_window() {
        let large = FlagOptions {
            viewport: Viewport {
                width: 2560,
                height: 1440,
            },
            ..options()
        };
        let flags = build(&large);
        assert!(
            flags.contains(&"--screen-info={2560x1527}".to_owned()),
            "{flags:?}"
        );
        assert!(flags.contains(&"--window-size=2560,1527".to_owned()), "{flags:?}");
        assert!(build(&options()).contains(&"--screen-info={1920x1080}".to_owned()));
    }

    #[test]
    fn a_later_disable_features_would_silently_replace_the_first() {
        let flags = build(&options());
        assert_eq!(
            flags
                .iter()
                .filter(|flag| flag.starts_with("--disable-features="))
                .count(),
            1
        );
        assert_eq!(flags.last().map(String::as_str), Some("about:blank"));
    }
}
