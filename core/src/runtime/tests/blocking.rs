//! The threads for blocking operations.

use std::io;

use super::on_shard;

#[test]
fn a_panic_is_an_error_of_its_asker_only() {
    on_shard(|rt| async move {
        for round in 0..20 {
            let error = rt.blocking_io::<()>(move || panic!("round {round}")).await.unwrap_err();
            assert!(error.to_string().contains(&format!("round {round}")));
            assert_eq!(rt.blocking_io(move || Ok(round)).await.unwrap(), round);
            let error = rt.blocking_io::<()>(|| Err(io::Error::from_raw_os_error(libc::EIO))).await;
            assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::EIO));
        }
    });
}

#[test]
fn five_thousand_at_once_all_answer() {
    on_shard(|rt| async move {
        let (done, all_done) = flume::unbounded();
        for index in 0..5000_u64 {
            let (asker, done) = (rt.clone(), done.clone());
            corelane_storage::runtime::Runtime::spawn(&rt, async move {
                done.send(asker.blocking_io(move || Ok(index)).await.unwrap()).unwrap();
            });
        }
        let mut sum = 0;
        for _ in 0..5000 {
            sum += all_done.recv_async().await.unwrap();
        }
        assert_eq!(sum, 4999 * 5000 / 2);
    });
}
