//! Is the network that is trained the one that answers, and is its derivative right?

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};

use super::dice::Dice;
use super::network::{Network, Packed};
use super::operations::Tape;
use super::training::{Lessons, gradients, loss};
use crate::encoder::{Config, Embedding, Matrix, Pooling, Transformer};

const VOCABULARY: usize = 50;

/// A network of two layers of 32 with weights that look random.
fn network(activation: &str, pooling: Pooling) -> Network {
    let config: Config = serde_json::from_value(serde_json::json!({
        "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 48, "max_position_embeddings": 16, "hidden_act": activation,
    }))
    .unwrap();
    let mut dice = Dice::new(3, &[]);
    let mut tensors = BTreeMap::new();
    let mut put = |name: &str, shape: &[usize], middle: f32, spread: f32| {
        let count: usize = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|_| middle + spread * (dice.below(2001) as f32 / 1000.0 - 1.0)).collect();
        tensors.insert(name.to_owned(), Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
    };
    put("embeddings.word_embeddings.weight", &[VOCABULARY, 32], 0.0, 1.0);
    put("embeddings.position_embeddings.weight", &[16, 32], 0.0, 0.3);
    put("embeddings.token_type_embeddings.weight", &[2, 32], 0.0, 0.3);
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..2 {
        let at = format!("encoder.layer.{layer}");
        for (part, rows, columns) in [
            ("attention.self.query", 32, 32),
            ("attention.self.key", 32, 32),
            ("attention.self.value", 32, 32),
            ("attention.output.dense", 32, 32),
            ("intermediate.dense", 48, 32),
            ("output.dense", 32, 48),
        ] {
            put(&format!("{at}.{part}.weight"), &[rows, columns], 0.0, 0.3);
            put(&format!("{at}.{part}.bias"), &[rows], 0.0, 0.2);
        }
        norms.extend([format!("{at}.attention.output.LayerNorm"), format!("{at}.output.LayerNorm")]);
    }
    for norm in norms {
        put(&format!("{norm}.weight"), &[32], 1.0, 0.3);
        put(&format!("{norm}.bias"), &[32], 0.0, 0.3);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    candle_core::safetensors::save(&tensors.into_iter().collect(), &path).unwrap();
    let full = Network::read(&config, pooling, &std::fs::read(&path).unwrap()).unwrap();
    // What was written in half precision is read as the same numbers again.
    let written = full.write().unwrap();
    let network = Network::read(&config, pooling, &written).unwrap();
    assert_eq!(network.write().unwrap(), written);
    network
}

/// Sentences in ascending order of length.
fn sentences(count: usize) -> Vec<Vec<u32>> {
    let mut dice = Dice::new(9, &[]);
    let mut sentences: Vec<Vec<u32>> = (0..count)
        .map(|_| {
            let length = 1 + dice.below(10);
            (0..length).map(|_| dice.below(VOCABULARY) as u32).collect()
        })
        .collect();
    sentences.sort_by_key(Vec::len);
    sentences
}

fn vectors(network: &Network, sentences: &[Vec<u32>]) -> Vec<Embedding> {
    let ids: Vec<&[u32]> = sentences.iter().map(Vec::as_slice).collect();
    let packed = Packed::new(&ids);
    let embeddings = network.embeddings(&packed).unwrap();
    let tape = Tape::new(network.others.len());
    let weights = network.tensors().unwrap();
    let vectors = network.forward(&weights, &embeddings, &packed, &tape, None).unwrap();
    vectors.to_vec2::<f32>().unwrap().into_iter().map(Embedding::unit).collect()
}

#[test]
fn the_network_that_is_trained_is_the_encoder() {
    for (activation, pooling) in
        [("gelu", Pooling::Mean), ("gelu_new", Pooling::Cls), ("relu", Pooling::Mean)]
    {
        let network = network(activation, pooling);
        let encoder = Transformer::new(
            network.config.clone(),
            &network.write().unwrap(),
            crate::encoder::Precision::F32,
        )
        .unwrap();
        let sentences = sentences(12);
        let ours = vectors(&network, &sentences);
        for (sentence, ours) in sentences.iter().zip(&ours) {
            let rows = encoder.forward(&[sentence]).unwrap();
            let pooled: Vec<f32> = match pooling {
                Pooling::Cls => rows[..32].to_vec(),
                Pooling::Mean => (0..32).map(|c| rows.iter().skip(c).step_by(32).sum()).collect(),
            };
            let length = pooled.iter().map(|x| x * x).sum::<f32>().sqrt();
            for (x, y) in ours.as_slice().iter().zip(&pooled) {
                assert!((x - y / length).abs() < 2e-5, "{activation}: {x} and {}", y / length);
            }
        }
    }
}

fn lessons(network: &Network) -> Lessons {
    let sentences = sentences(24);
    // Eight entries with two phrasings each and eight strangers, mixed by length.
    let entries = (0..24).map(|index| (index % 3 < 2).then_some(index % 8)).collect();
    let base: Vec<Embedding> = {
        // Other cosines than those of the network, so that every term of the loss has a slope.
        let mut other = network.clone();
        other.words.values.iter_mut().for_each(|x| *x = -*x);
        vectors(&other, &sentences)
    };
    Lessons { sentences, entries, base: Matrix::new(32, &base) }
}

#[test]
fn the_gradient_agrees_with_finite_differences() {
    let network = network("gelu", Pooling::Mean);
    let lessons = lessons(&network);
    let batch: Vec<usize> = (0..24).collect();
    let at = |network: &Network| gradients(network, &lessons, &batch, 5, 0).unwrap();
    let found = at(&network);
    let step = 2e-3;
    let check = |name: &str, slope: f32, change: &dyn Fn(&mut Network, f32)| {
        let moved = |by: f32| {
            let mut moved = network.clone();
            change(&mut moved, by);
            at(&moved).loss
        };
        let measured = (moved(step) - moved(-step)) / (2.0 * step);
        assert!(
            (measured - slope).abs() < 0.03 * slope.abs() + 2e-3,
            "{name}: the gradient says {slope}, the loss itself {measured}"
        );
    };
    for (which, parameter) in network.others.iter().enumerate() {
        // The steepest number of each tensor: there rounding matters least.
        let steepest = |values: &[f32]| {
            let steeper = |a: &usize, b: &usize| values[*a].abs().total_cmp(&values[*b].abs());
            (0..values.len()).max_by(steeper).unwrap()
        };
        let place = steepest(&found.others[which]);
        check(&parameter.name, found.others[which][place], &|network, by| {
            network.others[which].values[place] += by;
        });
    }
    // A word that occurs in several parts of the batch.
    let word = 7u32;
    let slope: f32 = found
        .words
        .iter()
        .filter_map(|(rows, slopes)| rows.iter().position(|row| *row == word).map(|row| slopes[row * 32]))
        .sum();
    assert!(slope != 0.0);
    check("word 7", slope, &|network, by| network.words.values[7 * 32] += by);
}

#[test]
fn the_loss_by_hand() {
    // Two phrasings of one entry and one of another, all at right angles.
    let rows = [[1f32, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let vectors = Var::from_tensor(&Tensor::new(&rows, &Device::Cpu).unwrap()).unwrap();
    let base = vectors.matmul(&vectors.t().unwrap()).unwrap();
    let entries = [Some(0), Some(0), Some(1)];
    let value: f32 = loss(&vectors, &entries, &base).unwrap().to_scalar().unwrap();
    // One right and one wrong one at the same cosine: ln 2 for both anchors.
    assert!((value - std::f32::consts::LN_2).abs() < 1e-5, "{value}");
    // A stranger besides, as near as the others, and moved by nothing.
    let entries = [Some(0), Some(0), None];
    let value: f32 = loss(&vectors, &entries, &base).unwrap().to_scalar().unwrap();
    assert!((value - std::f32::consts::LN_2).abs() < 1e-5, "{value}");
    // The stranger came nearer by 0.1 to both, and so to itself: 100 and 300
    // times the mean square besides.
    let base = (base - 0.1).unwrap();
    let value: f32 = loss(&vectors, &entries, &base).unwrap().to_scalar().unwrap();
    assert!((value - std::f32::consts::LN_2 - 1.0 - 3.0).abs() < 1e-4, "{value}");
}
