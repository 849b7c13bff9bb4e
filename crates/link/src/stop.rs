//! Being asked to stop by the system.

/// Waits until a person or the system asks this process to end: Ctrl-C, or a polite kill where there is such a thing;
/// on Windows also Ctrl-Break, a console window that is closed, and the end of the session, after which the system
/// ends the process within seconds. Must be awaited within a `tokio` runtime with I/O enabled. Never ends when the
/// system does not tell.
pub async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                result = tokio::signal::ctrl_c() => if result.is_ok() { return },
            }
        }
    }
    #[cfg(windows)]
    {
        use tokio::signal::windows::{ctrl_break, ctrl_close, ctrl_logoff, ctrl_shutdown};
        if let (Ok(mut pause), Ok(mut close), Ok(mut logoff), Ok(mut shutdown)) =
            (ctrl_break(), ctrl_close(), ctrl_logoff(), ctrl_shutdown())
        {
            tokio::select! {
                _ = pause.recv() => return,
                _ = close.recv() => return,
                _ = logoff.recv() => return,
                _ = shutdown.recv() => return,
                result = tokio::signal::ctrl_c() => if result.is_ok() { return },
            }
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
