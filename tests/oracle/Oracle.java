import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.TreeSet;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.AnalyzerWrapper;
import org.apache.lucene.analysis.core.KeywordAnalyzer;
import org.apache.lucene.analysis.standard.StandardAnalyzer;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.Term;
import org.apache.lucene.queryparser.classic.ParseException;
import org.apache.lucene.queryparser.classic.QueryParser;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.FuzzyQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.store.ByteBuffersDirectory;

/**
 * Answers queries by real Lucene, set up as Elasticsearch sets it up for a query_string query.
 *
 * <p>Standard input holds one line per document, then one per query; the parts of a line are separated by tabs and,
 * but for the first, written in Base64 of UTF-8:
 *
 * <pre>
 * D id field value field value ...
 * Q query
 * </pre>
 *
 * <p>Standard output has one line per query, in their order: {@code MATCHED parsed id id ...}, where {@code parsed} is
 * Lucene's own print of the parsed query, or {@code REJECTED message}; again Base64 but for the first word.
 */
public final class Oracle {
  private static final String ALL = "_all";
  private static final String NAMES = "_names";
  private static final String EXACT = ".exact";
  /** Elasticsearch's position_increment_gap: no phrase matches across two values of a field. */
  private static final int GAP = 100;

  private Oracle() {}

  public static void main(String[] arguments) throws IOException {
    BooleanQuery.setMaxClauseCount(100_000);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.US_ASCII);
    Analyzer analyzer = new Analyzers();
    ByteBuffersDirectory directory = new ByteBuffersDirectory();
    List<String> queries = new ArrayList<>();
    try (IndexWriter writer = new IndexWriter(directory, new IndexWriterConfig(analyzer))) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        String[] parts = line.split("\t", -1);
        for (int i = 1; i < parts.length; i++) {
          parts[i] = new String(Base64.getDecoder().decode(parts[i]), StandardCharsets.UTF_8);
        }
        if (parts[0].equals("D")) {
          writer.addDocument(document(parts));
        } else {
          queries.add(parts[1]);
        }
      }
    }
    try (DirectoryReader reader = DirectoryReader.open(directory)) {
      IndexSearcher searcher = new IndexSearcher(reader);
      for (String query : queries) {
        out.println(answer(searcher, analyzer, query));
      }
    }
    out.flush();
  }

  private static Document document(String[] parts) {
    Document document = new Document();
    document.add(new StringField("_id", parts[1], Field.Store.YES));
    TreeSet<String> names = new TreeSet<>();
    for (int i = 2; i < parts.length; i += 2) {
      String field = parts[i];
      String value = parts[i + 1];
      document.add(new TextField(field, value, Field.Store.NO));
      document.add(new StringField(field + EXACT, value, Field.Store.NO));
      document.add(new TextField(ALL, value, Field.Store.NO));
      names.add(field + EXACT);
      // an object is there when any field below it is
      for (int end = field.length(); end > 0; end = field.lastIndexOf('.', end - 1)) {
        names.add(field.substring(0, end));
      }
    }
    for (String name : names) {
      document.add(new StringField(NAMES, name, Field.Store.NO));
    }
    return document;
  }

  private static String answer(IndexSearcher searcher, Analyzer analyzer, String text) throws IOException {
    Query query;
    try {
      query = new Parser(analyzer).parse(text);
    } catch (ParseException | IllegalArgumentException rejected) {
      return "REJECTED\t" + encoded(String.valueOf(rejected.getMessage()));
    }
    StringBuilder line = new StringBuilder("MATCHED\t").append(encoded(query.toString(ALL)));
    for (ScoreDoc hit : searcher.search(query, Integer.MAX_VALUE).scoreDocs) {
      line.append('\t').append(encoded(searcher.doc(hit.doc).get("_id")));
    }
    return line.toString();
  }

  private static String encoded(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  /** Text by the standard analyser, `.exact` as it is. */
  private static final class Analyzers extends AnalyzerWrapper {
    private final Analyzer text = new StandardAnalyzer();
    private final Analyzer exact = new KeywordAnalyzer();

    Analyzers() {
      super(PER_FIELD_REUSE_STRATEGY);
    }

    @Override
    protected Analyzer getWrappedAnalyzer(String field) {
      return field.endsWith(EXACT) ? exact : text;
    }

    @Override
    public int getPositionIncrementGap(String field) {
      return GAP;
    }
  }

  /** The classic parser with what Elasticsearch changes in it. */
  private static final class Parser extends QueryParser {
    /** What the parser hands to getFuzzyQuery when there is no number after `~`: too odd for anybody to write. */
    private static final float AUTO = 48_611f;
    private static final int MAX_EXPANSIONS = 1024;

    Parser(Analyzer analyzer) {
      super(ALL, analyzer);
      setDefaultOperator(Operator.OR);
      setAllowLeadingWildcard(true);
      setSplitOnWhitespace(true);
      setFuzzyMinSim(AUTO);
    }

    private static Query exists(String field) {
      return new TermQuery(new Term(NAMES, field));
    }

    @Override
    protected Query getFieldQuery(String field, String text, boolean quoted) throws ParseException {
      if (field.equals("_exists_")) {
        return exists(text);
      }
      // `age:>=10`; without a field the signs are punctuation
      if (!quoted && !field.equals(ALL) && text.length() > 1 && (text.charAt(0) == '<' || text.charAt(0) == '>')) {
        boolean inclusive = text.length() > 2 && text.charAt(1) == '=';
        String bound = text.substring(inclusive ? 2 : 1);
        return text.charAt(0) == '>'
            ? getRangeQuery(field, bound, null, inclusive, true)
            : getRangeQuery(field, null, bound, true, inclusive);
      }
      return super.getFieldQuery(field, text, quoted);
    }

    @Override
    protected Query getFieldQuery(String field, String text, int slop) throws ParseException {
      return field.equals("_exists_") ? exists(text) : super.getFieldQuery(field, text, slop);
    }

    @Override
    protected Query getWildcardQuery(String field, String text) throws ParseException {
      if (text.equals("*")) {
        return field.equals(ALL) || field.equals("*") ? newMatchAllDocsQuery() : exists(field);
      }
      return super.getWildcardQuery(field, text);
    }

    @Override
    protected Query newFuzzyQuery(Term term, float similarity, int prefixLength) {
      int length = term.text().codePointCount(0, term.text().length());
      int edits = FuzzyQuery.floatToEdits(similarity, length);
      if (similarity == AUTO) {
        edits = length < 3 ? 0 : length < 6 ? 1 : 2;
      }
      return new FuzzyQuery(term, edits, prefixLength, MAX_EXPANSIONS, true);
    }

    /** Elasticsearch's fixNegativeQueryIfNeeded: only prohibited clauses mean everything but them. */
    @Override
    protected Query getBooleanQuery(List<BooleanClause> clauses) throws ParseException {
      Query query = super.getBooleanQuery(clauses);
      if (query == null || !clauses.stream().allMatch(BooleanClause::isProhibited)) {
        return query;
      }
      BooleanQuery.Builder builder = new BooleanQuery.Builder();
      clauses.forEach(builder::add);
      return builder.add(newMatchAllDocsQuery(), BooleanClause.Occur.FILTER).build();
    }
  }
}
