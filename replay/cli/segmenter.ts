/**
 * To be imported before optique, which makes an `Intl.Segmenter` while it is loaded, to measure help
 * texts: ICU takes 10 ms for that, and most commands print no help. Segmenters made from here on are
 * made when they are first used.
 * @module
 */
const { Segmenter } = Intl;

class LazySegmenter implements Intl.Segmenter {
  readonly [Symbol.toStringTag] = "Intl.Segmenter";
  #made: Intl.Segmenter | null = null;
  constructor(private readonly make: () => Intl.Segmenter) {}

  get #real(): Intl.Segmenter {
    return this.#made ??= this.make();
  }
  segment(input: string): Intl.Segments {
    return this.#real.segment(input);
  }
  resolvedOptions(): Intl.ResolvedSegmenterOptions {
    return this.#real.resolvedOptions();
  }
}

Object.defineProperty(Intl, "Segmenter", {
  value: new Proxy(Segmenter, {
    construct: (_, [locales, options]) => new LazySegmenter(() => new Segmenter(locales, options)),
  }),
});
