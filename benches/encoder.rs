//! How fast is the encoder, and how fast is candle-transformers' `BertModel`
//! on the same weights in the same run?
//!
//! `cargo bench --bench encoder`. "encoder" is everything from text to unit
//! vector as the engine runs it, "network" the transformer alone in f32,
//! "network int8" with products in 8 bits, "candle-transformers" the stock
//! network alone. The names end in the number of sentences × tokens.
//! `ZHIDA_BENCH_MODEL` names another model folder; `benches/peers.py` runs
//! this beside other programs.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_transformers::models::bert::{BertModel, Config};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rayon::{ThreadPool, ThreadPoolBuilder};
use zhida::encoder::{Encoder, Files, Precision};

/// gemm's own default; the encoder turns its threads off for the whole process.
const GEMM_THREADING: usize = 48 * 48 * 256;

/// Sentences and tokens each.
const SHAPES: [(usize, usize); 4] = [(1, 8), (1, 16), (1, 48), (128, 16)];

const STORY: &str = "你好我上周在你们店里买了一件外套今天收到以后发现尺码太大了而且颜色和图片上的差别也很大请问现在还能不能换货运费由谁来出如果不能换的话能不能直接退款退款多久可以到账我用的是信用卡分期付款那么已经收取的手续费会不会一起退给我另外当时下单用了一张优惠券还可以再用吗谢谢";

fn folder() -> PathBuf {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/models/zhida-base");
    std::env::var_os("ZHIDA_BENCH_MODEL").map_or_else(|| PathBuf::from(shipped), PathBuf::from)
}

fn open(precision: Option<Precision>) -> Encoder {
    let folder: &Path = &folder();
    let encoder = Files::read(folder).and_then(|files| Encoder::of(files, folder, precision));
    encoder.unwrap_or_else(|e| panic!("the model opens: {e}"))
}

/// The start of the story that has so many tokens.
fn text(encoder: &Encoder, tokens: usize) -> String {
    let ends = STORY.char_indices().map(|(at, c)| at + c.len_utf8());
    ends.map(|end| &STORY[..end])
        .find(|start| encoder.token_ids(start).is_ok_and(|ids| ids.len() == tokens))
        .unwrap_or_else(|| panic!("no start of the story has {tokens} tokens"))
        .to_owned()
}

fn stock() -> candle_core::Result<BertModel> {
    let config = std::fs::read_to_string(folder().join("config.json"))?;
    let config: Config = serde_json::from_str(&config).map_err(candle_core::Error::wrap)?;
    let weights = std::fs::read(folder().join("model.safetensors"))?;
    let weights = candle_nn::VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
    BertModel::load(weights, &config)
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap_or_else(|e| panic!("a thread pool: {e}"))
}

fn encoder(c: &mut Criterion) {
    let encoder = open(None);
    let networks = [("network", Precision::F32), ("network int8", Precision::Int8)]
        .map(|(name, precision)| (name, open(Some(precision))));
    let stock = stock().unwrap_or_else(|e| panic!("the shipped model opens in candle-transformers: {e}"));
    for threads in [1, 2] {
        let pool = pool(threads);
        for (sentences, tokens) in SHAPES {
            let mut group = c.benchmark_group(format!("{threads} thread/{sentences}x{tokens}"));
            let text = text(&encoder, tokens);
            let texts = vec![text.as_str(); sentences];
            let ids = encoder.token_ids(&text).unwrap_or_else(|e| panic!("the text has tokens: {e}"));

            gemm_common::gemm::set_threading_threshold(usize::MAX);
            group.bench_function("encoder", |b| {
                pool.install(|| b.iter(|| encoder.embed_all(black_box(&texts), &|_| ())));
            });
            // One product never splits over threads, so one number is enough.
            if threads == 1 {
                let batch = vec![ids.as_slice(); sentences];
                for (name, encoder) in &networks {
                    group.bench_function(*name, |b| {
                        pool.install(|| b.iter(|| encoder.network().forward(black_box(&batch))));
                    });
                }
            }

            gemm_common::gemm::set_threading_threshold(GEMM_THREADING);
            group.bench_function("candle-transformers", |b| {
                let rows: Vec<u32> = ids.iter().copied().cycle().take(sentences * tokens).collect();
                pool.install(|| {
                    b.iter_batched(
                        || {
                            let ids = Tensor::from_slice(&rows, (sentences, tokens), &Device::Cpu);
                            let ids = ids.unwrap_or_else(|e| panic!("a tensor of ids: {e}"));
                            let kinds = ids.zeros_like().unwrap_or_else(|e| panic!("a tensor of zeros: {e}"));
                            (ids, kinds)
                        },
                        |(ids, kinds)| stock.forward(&ids, &kinds, None),
                        BatchSize::SmallInput,
                    );
                });
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(3));
    targets = encoder
}
criterion_main!(benches);
