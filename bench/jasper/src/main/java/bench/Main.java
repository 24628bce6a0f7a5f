package bench;

import java.awt.Color;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import net.sf.jasperreports.engine.JRException;
import net.sf.jasperreports.engine.JRParameter;
import net.sf.jasperreports.engine.JRTextElement;
import net.sf.jasperreports.engine.JasperCompileManager;
import net.sf.jasperreports.engine.JasperFillManager;
import net.sf.jasperreports.engine.JasperPrint;
import net.sf.jasperreports.engine.JasperReport;
import net.sf.jasperreports.engine.SimpleJasperReportsContext;
import net.sf.jasperreports.engine.data.JRCsvDataSource;
import net.sf.jasperreports.engine.design.JRDesignBand;
import net.sf.jasperreports.engine.design.JRDesignConditionalStyle;
import net.sf.jasperreports.engine.design.JRDesignExpression;
import net.sf.jasperreports.engine.design.JRDesignField;
import net.sf.jasperreports.engine.design.JRDesignSection;
import net.sf.jasperreports.engine.design.JRDesignStyle;
import net.sf.jasperreports.engine.design.JRDesignTextElement;
import net.sf.jasperreports.engine.design.JRDesignTextField;
import net.sf.jasperreports.engine.design.JasperDesign;
import net.sf.jasperreports.engine.export.JRCsvExporter;
import net.sf.jasperreports.engine.export.ooxml.JRXlsxExporter;
import net.sf.jasperreports.engine.fill.JRSwapFileVirtualizer;
import net.sf.jasperreports.engine.fonts.FontFamily;
import net.sf.jasperreports.engine.fonts.FontSet;
import net.sf.jasperreports.engine.fonts.SimpleFontFamily;
import net.sf.jasperreports.engine.fonts.SimpleFontSet;
import net.sf.jasperreports.engine.fonts.SimpleFontSetFamily;
import net.sf.jasperreports.engine.type.EvaluationTimeEnum;
import net.sf.jasperreports.engine.type.HorizontalTextAlignEnum;
import net.sf.jasperreports.engine.type.ModeEnum;
import net.sf.jasperreports.engine.type.OrientationEnum;
import net.sf.jasperreports.engine.type.SplitTypeEnum;
import net.sf.jasperreports.engine.type.StretchTypeEnum;
import net.sf.jasperreports.engine.type.TextAdjustEnum;
import net.sf.jasperreports.engine.util.JRSwapFile;
import net.sf.jasperreports.export.SimpleExporterInput;
import net.sf.jasperreports.export.SimpleOutputStreamExporterOutput;
import net.sf.jasperreports.export.SimpleWriterExporterOutput;
import net.sf.jasperreports.export.SimpleXlsxReportConfiguration;
import net.sf.jasperreports.pdf.JRPdfExporter;
import net.sf.jasperreports.pdf.PdfReportConfiguration;

/**
 * Fills a table report from a CSV file and exports it: csv, pdf or xlsx, the source, the target, a folder for the swap
 * file, the widths of the columns in points, and font files (the first is the report's, the others have what it lacks).
 *
 * <p>Prints one line of JSON. The seconds are those of filling and exporting; compiling the report, which is done once
 * in a report's life, is told beside them.
 */
public final class Main {
    private static final int WIDTH = 842;
    private static final int HEIGHT = 595;
    private static final int MARGIN = 24;
    private static final int LINE = 11;
    private static final int PAGES_IN_MEMORY = 100;
    private static final String FONT = "Report";
    private static final Color SHADE = new Color(0xF0, 0xF0, 0xF0);

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        String format = arguments[0];
        File source = new File(arguments[1]);
        File target = new File(arguments[2]);
        String swap = arguments[3];
        int[] widths = List.of(arguments[4].split(",")).stream().mapToInt(Integer::parseInt).toArray();
        List<String> fonts = List.of(arguments).subList(5, arguments.length);

        SimpleJasperReportsContext context = new SimpleJasperReportsContext();
        declare(context, fonts);
        String[] columns = Files.newBufferedReader(source.toPath()).readLine().split(",");

        long begun = System.nanoTime();
        JasperReport report = JasperCompileManager.getInstance(context).compile(design(columns, widths, format));
        long compiled = System.nanoTime();

        JRSwapFileVirtualizer virtualizer =
                new JRSwapFileVirtualizer(PAGES_IN_MEMORY, new JRSwapFile(swap, 64 * 1024, 64), true);
        Map<String, Object> parameters = new HashMap<>();
        parameters.put(JRParameter.REPORT_VIRTUALIZER, virtualizer);
        parameters.put(JRParameter.REPORT_LOCALE, Locale.ROOT);
        JRCsvDataSource data = new JRCsvDataSource(source, "UTF-8");
        data.setRecordDelimiter("\n");
        data.setUseFirstRowAsHeader(true);
        JasperPrint print = JasperFillManager.getInstance(context).fill(report, parameters, data);
        virtualizer.setReadOnly(true);
        export(context, print, target, format);
        int pages = print.getPages().size();
        virtualizer.cleanup();
        long done = System.nanoTime();
        System.out.printf(
                Locale.ROOT,
                "{\"seconds\": %.3f, \"peak_mib\": %.1f, \"compile_seconds\": %.3f, \"pages\": %d}%n",
                (done - compiled) / 1e9,
                peak(),
                (compiled - begun) / 1e9,
                pages);
    }

    private static void export(SimpleJasperReportsContext context, JasperPrint print, File target, String format)
            throws JRException {
        SimpleExporterInput input = new SimpleExporterInput(print);
        switch (format) {
            case "csv" -> {
                JRCsvExporter exporter = new JRCsvExporter(context);
                exporter.setExporterInput(input);
                exporter.setExporterOutput(new SimpleWriterExporterOutput(target, "UTF-8"));
                exporter.exportReport();
            }
            case "pdf" -> {
                JRPdfExporter exporter = new JRPdfExporter(context);
                exporter.setExporterInput(input);
                exporter.setExporterOutput(new SimpleOutputStreamExporterOutput(target));
                exporter.exportReport();
            }
            case "xlsx" -> {
                SimpleXlsxReportConfiguration configuration = new SimpleXlsxReportConfiguration();
                configuration.setOnePagePerSheet(false);
                configuration.setDetectCellType(true);
                configuration.setWhitePageBackground(false);
                configuration.setRemoveEmptySpaceBetweenRows(true);
                configuration.setRemoveEmptySpaceBetweenColumns(true);
                JRXlsxExporter exporter = new JRXlsxExporter(context);
                exporter.setConfiguration(configuration);
                exporter.setExporterInput(input);
                exporter.setExporterOutput(new SimpleOutputStreamExporterOutput(target));
                exporter.exportReport();
            }
            default -> throw new IllegalArgumentException(format + " is none of csv, pdf, xlsx");
        }
    }

    /** The report: for csv and xlsx one endless page of plain rows, for pdf landscape pages with header and footer. */
    private static JasperDesign design(String[] columns, int[] widths, String format) throws JRException {
        boolean printed = format.equals("pdf");
        JasperDesign design = new JasperDesign();
        design.setName("accounts");
        design.setPageWidth(WIDTH);
        design.setPageHeight(HEIGHT);
        design.setOrientation(OrientationEnum.LANDSCAPE);
        int margin = printed ? MARGIN : 0;
        design.setColumnWidth(WIDTH - 2 * margin);
        design.setLeftMargin(margin);
        design.setRightMargin(margin);
        design.setTopMargin(margin);
        design.setBottomMargin(margin);
        design.setIgnorePagination(!printed);
        // Without these a cell can lose its end: on paper where PDF ends its lines at other places than the measurer
        // (https://github.com/Jaspersoft/jasperreports/issues/282), elsewhere where a text is wider than its column.
        design.setProperty(PdfReportConfiguration.PROPERTY_FORCE_LINEBREAK_POLICY, "true");
        design.setProperty(JRTextElement.PROPERTY_PRINT_KEEP_FULL_TEXT, "true");

        JRDesignStyle plain = new JRDesignStyle();
        plain.setName("plain");
        plain.setDefault(true);
        plain.setFontName(FONT);
        plain.setFontSize(7f);
        design.addStyle(plain);
        JRDesignStyle row = new JRDesignStyle();
        row.setName("row");
        row.setParentStyle(plain);
        if (printed) {
            JRDesignConditionalStyle shaded = new JRDesignConditionalStyle();
            shaded.setConditionExpression(new JRDesignExpression("$V{REPORT_COUNT} % 2 == 0"));
            shaded.setMode(ModeEnum.OPAQUE);
            shaded.setBackcolor(SHADE);
            row.addConditionalStyle(shaded);
        }
        design.addStyle(row);

        JRDesignBand header = band(LINE);
        JRDesignBand detail = band(LINE);
        int x = 0;
        for (int n = 0; n < columns.length; n++) {
            boolean number = columns[n].endsWith("Count");
            JRDesignField field = new JRDesignField();
            field.setName(columns[n]);
            field.setValueClass(number ? Integer.class : String.class);
            design.addField(field);

            header.addElement(cell("\"" + columns[n] + "\"", x, widths[n], printed, plain));
            detail.addElement(cell("$F{" + columns[n] + "}", x, widths[n], printed, row));
            x += widths[n];
        }
        design.setColumnHeader(header);
        ((JRDesignSection) design.getDetailSection()).addBand(detail);
        if (printed) {
            design.setPageFooter(footer(plain));
        }
        return design;
    }

    /** A cell. On paper it is as high as its text needs; else a row stays one row, and the text is kept whole. */
    private static JRDesignTextField cell(String expression, int x, int width, boolean printed, JRDesignStyle style) {
        JRDesignTextField cell = new JRDesignTextField();
        cell.setExpression(new JRDesignExpression(expression));
        cell.setBlankWhenNull(true);
        cell.setTextAdjust(printed ? TextAdjustEnum.STRETCH_HEIGHT : TextAdjustEnum.CUT_TEXT);
        if (printed) {
            cell.setStretchType(StretchTypeEnum.CONTAINER_HEIGHT);
            cell.getLineBox().setRightPadding(2);
        }
        place(cell, x, width, style);
        return cell;
    }

    /** Page x of y: the second half is known when the report is complete. */
    private static JRDesignBand footer(JRDesignStyle style) {
        JRDesignBand footer = band(LINE);
        JRDesignTextField page = new JRDesignTextField();
        page.setExpression(new JRDesignExpression("\"Page \" + $V{PAGE_NUMBER} + \" of\""));
        page.setHorizontalTextAlign(HorizontalTextAlignEnum.RIGHT);
        place(page, 0, 400, style);
        footer.addElement(page);
        JRDesignTextField pages = new JRDesignTextField();
        pages.setExpression(new JRDesignExpression("\" \" + $V{PAGE_NUMBER}"));
        pages.setEvaluationTime(EvaluationTimeEnum.REPORT);
        place(pages, 400, 100, style);
        footer.addElement(pages);
        return footer;
    }

    private static JRDesignBand band(int height) {
        JRDesignBand band = new JRDesignBand();
        band.setHeight(height);
        band.setSplitType(SplitTypeEnum.PREVENT);
        return band;
    }

    private static void place(JRDesignTextElement element, int x, int width, JRDesignStyle style) {
        element.setX(x);
        element.setY(0);
        element.setWidth(width);
        element.setHeight(LINE);
        element.setStyle(style);
    }

    /** One font for the report, made of several files: a character is looked for in each of them in turn. */
    private static void declare(SimpleJasperReportsContext context, List<String> files) {
        SimpleFontSet set = new SimpleFontSet();
        set.setName(FONT);
        List<FontFamily> families = new ArrayList<>();
        for (String file : files) {
            SimpleFontFamily family = new SimpleFontFamily(context);
            family.setName(Path.of(file).getFileName().toString());
            family.setNormal(file);
            family.setPdfEncoding("Identity-H");
            family.setPdfEmbedded(true);
            families.add(family);
            SimpleFontSetFamily member = new SimpleFontSetFamily();
            member.setFamilyName(family.getName());
            member.setPrimary(families.size() == 1);
            set.addFamily(member);
        }
        context.setExtensions(FontFamily.class, families);
        context.setExtensions(FontSet.class, List.of(set));
    }

    /** The most memory that this process had, in MiB, as the kernel tells it; 0 where it does not. */
    private static double peak() throws Exception {
        Path status = Path.of("/proc/self/status");
        if (!Files.exists(status)) {
            return 0;
        }
        return Files.readAllLines(status).stream()
                .filter(line -> line.startsWith("VmHWM:"))
                .mapToDouble(line -> Double.parseDouble(line.replaceAll("\\D", "")) / 1024)
                .findFirst()
                .orElse(0);
    }
}
